"""The manifests are what a strict API server, the operator and dem's own commands would take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dem.cli import main
from manifests import (
    KUBERNETES,
    RENDERED,
    Object,
    Role,
    by_kubectl,
    by_python,
    check,
    containers,
    made,
    rendered,
)

every = pytest.mark.parametrize("overlay", RENDERED)
PODS = ("Deployment", "Pod")


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def labels(pod: Object) -> Object:
    return (pod if pod["kind"] == "Pod" else pod["spec"]["template"])["metadata"]["labels"]


def spec(pod: Object) -> Object:
    return pod["spec"] if pod["kind"] == "Pod" else pod["spec"]["template"]["spec"]


@every
def test_all_objects_are_valid(overlay: str) -> None:
    kinds = set()
    for one in made(rendered(overlay)):
        check(one)
        kinds.add(one["kind"])
    assert {"DaskCluster", "Deployment", "Service", "PodDisruptionBudget"} <= kinds


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl to compare with")
@every
def test_the_renderer_of_the_tests_does_as_kubectl_does(overlay: str) -> None:
    def keyed(objects: list[Object]) -> dict[tuple[str, str], Object]:
        return {(one["kind"], one["metadata"]["name"]): one for one in objects}

    place = KUBERNETES / overlay
    assert keyed(by_python(place)) == keyed(by_kubectl(place))


def at(*way: str | int) -> Callable[[Object], Any]:
    def node(one: Object) -> Any:
        for part in way:
            one = one[part]
        return one

    return node


WORKER = ("spec", "cluster", "spec", "worker")
CONTAINER = (*WORKER, "spec", "containers", 0)
RUNNER = ("spec", "job", "spec", "containers", 0)
MISTAKES = {
    "a misspelt key": ("DaskJob", lambda one: at(*CONTAINER)(one).update(imagepull="Always")),
    "a key one level too high": ("DaskJob", lambda one: at(*WORKER)(one).update(containers=[])),
    "a number as a string": ("DaskJob", lambda one: at(*WORKER)(one).update(replicas="4")),
    "no containers": ("DaskJob", lambda one: at(*WORKER, "spec")(one).pop("containers")),
    "no scheduler": ("DaskJob", lambda one: at(*WORKER[:-1])(one).pop("scheduler")),
    "a nameless variable": ("DaskJob", lambda one: at(*RUNNER, "env", 0)(one).pop("name")),
    "a number for a variable": ("DaskJob", lambda one: at(*RUNNER, "env", 0)(one).update(value=10)),
    "another version": ("DaskJob", lambda one: one.update(apiVersion="kubernetes.dask.org/v2")),
    "a misspelt probe": (
        "DaskJob",
        lambda one: at(*CONTAINER, "livenessProbe")(one).update(period=3),
    ),
    "a truth for a policy": (
        "DaskJob",
        lambda one: at(*RUNNER[:-2])(one).update(restartPolicy=True),
    ),
    "a misspelt selector": (
        "NetworkPolicy",
        lambda one: one["spec"].update(podSelecter=one["spec"].pop("podSelector")),
    ),
    "no selector": ("NetworkPolicy", lambda one: one["spec"]["ingress"][0].update(from_=[])),
    "both limits as a list": (
        "PodDisruptionBudget",
        lambda one: one["spec"].update(maxUnavailable=["1"]),
    ),
    "a budget of another version": (
        "PodDisruptionBudget",
        lambda one: one["spec"].update(unhealthy="AlwaysAllow"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found(mistake: str) -> None:
    kind, make = MISTAKES[mistake]
    one = of_kind(rendered("overlays/spot"), kind)[0]
    check(one)
    make(one)
    with pytest.raises(jsonschema.ValidationError):
        check(one)


@every
def test_selectors_and_ports_meet(overlay: str) -> None:
    """Of services, budgets and policies: each finds its pods, and the ports that it names."""
    objects = made(rendered(overlay))
    pods = of_kind(objects, *PODS)
    runner = bool(of_kind(objects, "Pod"))
    selected = [
        *((one, one["spec"]["selector"]) for one in of_kind(objects, "Service")),
        *(
            (one, one["spec"]["selector"]["matchLabels"])
            for one in of_kind(objects, "PodDisruptionBudget")
        ),
        *(
            (one, one["spec"]["podSelector"]["matchLabels"])
            for one in of_kind(objects, "NetworkPolicy")
        ),
    ]
    for one, wanted in selected:
        found = [pod for pod in pods if wanted.items() <= labels(pod).items()]
        name = one["metadata"]["name"]
        assert found or (name == "dem-runner" and not runner), name
        if one["kind"] == "Service":
            (pod,) = found
            ports = {port["name"] for port in spec(pod)["containers"][0]["ports"]}
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports


@every
def test_pods_are_confined(overlay: str) -> None:
    for pod in of_kind(made(rendered(overlay)), *PODS):
        assert spec(pod)["securityContext"]["runAsNonRoot"]
        assert spec(pod)["automountServiceAccountToken"] is False
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert ":" in container["image"]
            assert not container["image"].endswith(":latest")
            for entry in container.get("env", ()):  # credentials come from a secret alone
                assert not {"KEY", "SECRET", "TOKEN", "PASSWORD"} & set(entry["name"].split("_"))


@every
def test_commands_are_those_of_dask_and_dem(overlay: str) -> None:
    for pod in of_kind(made(rendered(overlay)), *PODS):
        program, name, *words = Role.of(pod).command
        assert options_of(program, name).make_context(name, words).params


def options_of(program: str, name: str) -> Any:
    """The click command of these words."""
    if program == "dem":
        return main.commands[name]
    assert program == "dask"
    from distributed.cli import dask_scheduler, dask_worker

    return {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[name]


def test_both_kinds_of_cluster_are_alike() -> None:
    (job,) = of_kind(rendered("overlays/small"), "DaskJob")
    (cluster,) = of_kind(rendered("interactive"), "DaskCluster")
    inside = job["spec"]["cluster"]["spec"]
    assert inside["scheduler"]["spec"] == cluster["spec"]["scheduler"]["spec"]
    changed = ("replicas", "resources")

    def plain(worker: Object) -> Object:
        container = worker["spec"]["containers"][0]
        kept = {key: value for key, value in container.items() if key not in changed}
        return worker["spec"] | {"containers": [kept]}

    assert plain(inside["worker"]) == plain(cluster["spec"]["worker"])


def test_the_autoscaler_has_its_cluster() -> None:
    objects = rendered("interactive")
    (scaler,) = of_kind(objects, "DaskAutoscaler")
    (cluster,) = of_kind(objects, "DaskCluster")
    assert scaler["spec"]["cluster"] == cluster["metadata"]["name"]
    least, most = scaler["spec"]["minimum"], scaler["spec"]["maximum"]
    assert least <= cluster["spec"]["worker"]["replicas"] <= most <= 2 * least


def test_the_notebook_asks_for_a_cluster_that_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its cells, those before the first that needs Kubernetes."""
    monkeypatch.chdir(KUBERNETES)
    cells = json.loads(Path("cluster.ipynb").read_text())["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for number, code in enumerate(codes):
        compile(code, f"cell {number}", "exec")
    names: Object = {"yaml": yaml, "Path": Path, "IMAGE": "registry.example.com/dem:0.1.0"}
    exec(codes[1], names)
    names["spec"]["metadata"]["namespace"] = "dem"
    for one in made([names["spec"]]):
        check(one)
    (service,) = of_kind(made([names["spec"]]), "Service")
    (scheduler, _) = of_kind(made([names["spec"]]), "Deployment")
    assert service["spec"]["selector"].items() <= labels(scheduler).items()


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "mountPath":
                yield node["name"]
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


@every
def test_mounts_have_their_volumes(overlay: str) -> None:
    for pod in of_kind(made(rendered(overlay)), *PODS):
        volumes = {volume["name"] for volume in spec(pod)["volumes"]}
        assert set(references(spec(pod)["containers"])) == volumes
