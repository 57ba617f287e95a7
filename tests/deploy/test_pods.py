"""What the pods of the manifests would run is run, and ended as Kubernetes would end it.

`pytest -m deploy tests/deploy/test_pods.py`: Linux, root, some minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from machines import eventually
from manifests import Object, Role, made, rendered
from objects import SECRET, Objects, served
from pods import Network, Pod, network
from processes import python

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not shutil.which("ip") or os.getuid(), reason="needs iproute2, and root"),
]
OVERLAY = "overlays/small"


def rows() -> np.ndarray:
    """Too few for the parameters to begin with a fit to a sample: some fifty turns."""
    return np.random.default_rng(0).exponential(size=(16_000, 40)).astype("f4")


@dataclass(frozen=True)
class Namespace:
    """The pods of an overlay, and the bucket."""

    objects: list[Object]
    store: Objects
    network: Network

    def role(self, component: str) -> Role:
        kinds = [one for one in self.objects if one["kind"] in ("Deployment", "Pod")]
        (found,) = [o for o in kinds if o["metadata"]["labels"]["dask.org/component"] == component]
        return Role.of(found)

    def pod(self, component: str, *names: str, **how: Any) -> Pod:
        return self.network.pod(self.role(component), self.store.environment, *names, **how)

    def worker(self, number: int) -> Pod:
        """The operator gives each a name of its own."""
        role = self.role("worker")
        before = role.environment["DASK_WORKER_NAME"]
        name = f"{before}-{number}"
        command = [word.replace(before, name) for word in role.command]
        told = role.environment | {"DASK_WORKER_NAME": name}
        role = replace(role, command=command, environment=told)
        return self.network.pod(role, self.store.environment)


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Namespace]:
    stored = tmp_path / "x.zarr"
    zarr.create_array(str(stored), data=rows(), chunks=(200, 40))
    with network(tmp_path) as net:
        host, within = net.host()
        with served(tmp_path, host, within) as store:
            store.upload(stored, "measurements.zarr")
            yield Namespace(made(rendered(OVERLAY)), store, net)


def undisturbed(namespace: Namespace, place: Path) -> dict[str, bytes]:
    """The model of the same command on threads of one process, from and to this machine's disk."""
    command = namespace.role("job-runner").command
    at = command.index("fit") + 1
    other = ("--scheduler", "--checkpoint", "--resume", "--out")
    kept = [word for word in command[at + 1 :] if not word.startswith(other)]
    done = python("-m", "dem.cli", "fit", "x.zarr", *kept, "--out=alone", cwd=place)
    assert done.returncode == 0, done.stderr
    files = (path for path in (place / "alone").rglob("*") if path.is_file())
    return of_arrays({str(path.relative_to(place / "alone")): path.read_bytes() for path in files})


def of_arrays(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    """The chunks of a model."""
    return {key: body for key, body in objects.items() if not key.endswith("zarr.json")}


def told(pod: Pod) -> list[Object]:
    """The events in the log of a pod, each of which must be JSON."""
    whole = pod.log.rpartition("\n")[0]  # the last line may be under way
    return [json.loads(line) for line in whole.splitlines()]


def turns(pod: Pod) -> int:
    return sum(event["message"] == "turn" for event in told(pod))


def metrics(host: str) -> str:
    with urllib.request.urlopen(f"http://{host}:8787/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_a_fit_survives_the_loss_of_every_pod(namespace: Namespace, tmp_path: Path) -> None:
    expected = undisturbed(namespace, tmp_path)
    assert expected

    role = namespace.role("job-runner")
    service = role.environment["DASK_SCHEDULER_ADDRESS"].removeprefix("tcp://").split(":")[0]
    scheduler = namespace.pod("scheduler", service)
    workers = [namespace.worker(number) for number in range(2)]
    runner = namespace.pod("job-runner", on_failure=True)

    def turn_after(before: int) -> None:
        eventually(lambda: turns(runner) > before or runner.done, "another turn", 120)
        assert not runner.done, "the fit was over before all was lost"

    turn_after(0)
    shown = metrics(namespace.network.names[service])
    assert 'dem_runs{state="running"} 1.0' in shown
    assert "dem_run_bound{run=" in shown
    assert "dem_run_checkpoint_age_seconds{run=" in shown

    runner.kill()
    turn_after(turns(runner))
    shown = metrics(namespace.network.names[service])  # it has joined its fit, which lives
    runs = re.findall(r"^dem_runs\{.*\} (.*)$", shown, re.MULTILINE)
    assert sum(map(float, runs)) == 1
    workers[0].kill()
    turn_after(turns(runner))
    workers[1].delete(grace=30)
    assert "etiring worker" in scheduler.log
    workers[1] = namespace.worker(2)
    turn_after(turns(runner))
    before = turns(runner)
    scheduler.kill()
    eventually(lambda: turns(runner) > before or runner.done, "another turn", 120)

    eventually(lambda: runner.done, "the end of the fit", 300)
    assert runner.ended[0] == -9
    assert runner.ended[-1] == 0
    assert set(runner.ended[1:-1]) == {75}, runner.log  # while the scheduler was away
    assert told(runner)[-1]["message"] == "fitted"
    assert of_arrays(namespace.store.contents("models/measurements/")) == expected
    for pod in (scheduler, *workers, runner):
        assert SECRET not in pod.log
    assert not any(SECRET.encode() in body for body in namespace.store.contents().values())
