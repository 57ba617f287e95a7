"""The batch script under a real Slurm, controller and nodes of which are started here.

`apt-get install slurmctld slurmd slurm-client && pytest -m slurm`: Linux, root, some minutes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr

from machines import eventually
from manifests import DEPLOY
from processes import environment, python

CONFIG = """
ClusterName=dem
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=3
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=8000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch"))) or os.getuid() != 0,
        reason="needs Slurm, and root to run it",
    ),
]


@dataclass(frozen=True)
class Slurm:
    """A cluster of two nodes, both of which are this machine."""

    place: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return environment(PATH=path, SLURM_CONF=str(self.place / "slurm.conf"))

    def run(self, *command: str, **told: str) -> str:
        done = subprocess.run(
            command, cwd=self.place, env=self.environment | told, text=True, timeout=60,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What the controller says of a job."""
        words = self.run("scontrol", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)


def free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    host = socket.gethostname().partition(".")[0]
    told = CONFIG.format(host=host, place=tmp_path, ports=free_ports(3))
    (tmp_path / "slurm.conf").write_text(told)
    (tmp_path / "state").mkdir()
    cluster, started = Slurm(tmp_path), []
    try:
        for command in (
            ["slurmctld", "-D"],
            [shutil.which("slurmd") or "", "-D", "-N", "n1"],
            [shutil.which("slurmd") or "", "-D", "-N", "n2"],
        ):
            started.append(_begun(cluster, command))
        eventually(lambda: "2 idle" in _nodes(cluster), "two idle nodes", 60)
        yield cluster
        _ended(cluster)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(20)


def _begun(cluster: Slurm, command: list[str]) -> subprocess.Popen:
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        command, env=cluster.environment, cwd=cluster.place, stdin=nowhere, stdout=nowhere,
        stderr=nowhere,
    )  # fmt: skip


def _nodes(cluster: Slurm) -> str:
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%D %t"], env=cluster.environment, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    return done.stdout


def _ended(cluster: Slurm) -> None:
    """Nothing of a job stays behind."""
    cluster.run("scancel", "--user=root")
    eventually(lambda: "2 idle" in _nodes(cluster), "the end of all jobs", 60)


def test_a_fit_whose_time_is_up_is_requeued_and_goes_on(slurm: Slurm) -> None:
    place = slurm.place
    rows = np.random.default_rng(0).exponential(size=(40_000, 40)).astype("f4")
    zarr.create_array(str(place / "x.zarr"), data=rows, chunks=(1000, 40))
    how = ["--tol", "0", "--max-iter", "120"]
    words = ["fit", "x.zarr", "-k", "10", *how, "--out", "alone"]
    done = python("-m", "dem.cli", *words, cwd=place)
    assert done.returncode == 0, done.stderr

    told = {name: str(place / path) for name, path in
            (("DATA", "x.zarr"), ("MODEL", "model"), ("CHECKPOINT", "kept"))}  # fmt: skip
    told |= {"STAGE_TO": str(place / "staged"), "OPTIONS": " ".join(how), "INTERFACE": "lo"}
    number = slurm.run(
        "sbatch", "--parsable", "--nodes=2", "--cpus-per-task=1", "--mem=2000M", "--time=10",
        str(DEPLOY / "slurm" / "fit.sbatch"), **told,
    )  # fmt: skip
    log = place / f"dem-fit-{number}.log"

    def said(text: str) -> bool:
        return log.exists() and text in log.read_text(errors="replace")

    eventually(lambda: said("iteration 5 of"), "five turns", 120)
    assert "2 workers" in log.read_text()
    slurm.run("scancel", "--batch", "--signal=TERM", number)  # as --signal=B:TERM does
    eventually(lambda: said("dem fit ended with 143: to be continued"), "the end", 60)
    eventually(lambda: slurm.job(number)["JobState"] == "COMPLETED", "the rest of the fit", 200)
    assert slurm.job(number)["Restarts"] == "1"
    assert "iteration 1 of" not in log.read_text().partition("to be continued")[2]

    for path in (place / "alone").rglob("*"):
        if path.is_file() and path.name != "zarr.json":
            other = place / "model" / path.relative_to(place / "alone")
            assert other.read_bytes() == path.read_bytes()
