"""The Kubernetes manifests: rendered by kustomize, and checked as a cluster would check them.

Custom resources are held against the operator's CRDs, which come in the wheel of dask-kubernetes,
made strict. What the operator makes of them, by its own functions, and all other objects are held
against the schemas of Kubernetes, which come in the wheel of kubernetes-validate. No network.
"""

from __future__ import annotations

import copy
import importlib
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator as Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

Object = dict[str, Any]

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SCHEMAS = "kubernetes-json-schema/v1.34.0-local-strict"
RENDERED = ("overlays/small", "overlays/spot", "overlays/large", "interactive")
QUICK = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CRDS = "operator/deployment/helm/dask-kubernetes-operator/crds"


def by_kubectl(place: Path) -> list[Object]:
    """What `kubectl kustomize` makes of a directory."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(place)], capture_output=True, text=True, check=True, timeout=60
    )
    return list(yaml.safe_load_all(done.stdout))


def by_python(place: Path) -> list[Object]:
    """The same by the part of kustomize that is used here; ValueError for any other part."""
    plan = yaml.safe_load((place / "kustomization.yaml").read_text())
    known = {"apiVersion", "kind", "resources", "namespace", "images", "patches"}
    if unknown := plan.keys() - known:
        raise ValueError(f"{place}: {unknown} are not known here")
    objects: list[Object] = []
    for name in plan["resources"]:
        path = place / name
        objects += by_python(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for patch in plan.get("patches", ()):
        (target,) = [
            one
            for one in objects
            if (one["kind"], one["metadata"]["name"])
            == (patch["target"]["kind"], patch["target"]["name"])
        ]
        for step in yaml.safe_load(patch["patch"]):
            _apply(target, step)
    for one in objects:
        if "namespace" in plan:
            one["metadata"]["namespace"] = plan["namespace"]
        for container in containers(one):
            for image in plan.get("images", ()):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def _apply(target: Any, step: Object) -> None:
    """One step of a JSON patch, RFC 6902: add or replace."""
    *way, last = (int(part) if part.isdigit() else part for part in step["path"].split("/")[1:])
    for part in way:
        target = target[part]
    if step["op"] == "replace":
        target[last]  # it must be there
        target[last] = step["value"]
    elif step["op"] == "add" and last == "-":
        target.append(step["value"])
    elif step["op"] == "add" and isinstance(target, dict):
        target[last] = step["value"]
    else:
        raise ValueError(f"{step} is not known here")


@cache
def _rendered(name: str) -> list[Object]:
    place = KUBERNETES / name
    return by_kubectl(place) if shutil.which("kubectl") else by_python(place)


def rendered(name: str) -> list[Object]:
    """The objects of an overlay, free to be changed."""
    return copy.deepcopy(_rendered(name))


def containers(node: Any) -> Iterator[Object]:
    """All containers anywhere in an object."""
    if isinstance(node, list):
        for item in node:
            yield from containers(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("containers", "initContainers"):
                yield from value
            else:
                yield from containers(value)


@cache
def operator() -> Any:
    """The module of the operator that makes Pods of custom resources."""
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module("dask_kubernetes.operator.controller.controller")


def made(objects: list[Object]) -> list[Object]:
    """All objects that are in the cluster once the operator has done its part, of workers one."""
    return [part for one in objects for part in _made(one)]


def _made(one: Object) -> Iterator[Object]:
    yield one
    if one["kind"] == "DaskJob":
        name, spec, labels, _ = _facts(one)
        namespace = one["metadata"]["namespace"]
        job, inner = spec["job"], spec["cluster"]["spec"]
        pod = operator().build_job_pod_spec(name, name, namespace, job["spec"], {}, labels)
        yield pod | {"metadata": pod["metadata"] | {"namespace": namespace}}
        cluster = operator().build_cluster_spec(
            name, inner["worker"], inner["scheduler"], {}, labels
        )
        cluster["metadata"]["namespace"] = namespace
        yield from _made(cluster)
    elif one["kind"] == "DaskCluster":
        yield from _of_cluster(one)


def _of_cluster(one: Object) -> Iterator[Object]:
    name, spec, labels, annotations = _facts(one)
    namespace = one["metadata"]["namespace"]
    scheduler, worker = spec["scheduler"], spec["worker"]
    noted = annotations | scheduler.get("metadata", {}).get("annotations", {})
    yield operator().build_scheduler_deployment_spec(name, scheduler["spec"], noted, labels)
    yield operator().build_scheduler_service_spec(name, scheduler["service"], noted, labels)
    group = operator().build_default_worker_group_spec(name, worker, annotations, labels)
    yield group
    yield operator().build_worker_deployment_spec(  # one of them: they differ in their names
        group["metadata"]["name"],
        namespace,
        name,
        "0123456789",
        worker["spec"],
        annotations,
        labels,
    )


def _facts(one: Object) -> tuple[str, Object, Object, Object]:
    about = one["metadata"]
    return about["name"], one["spec"], about.get("labels", {}), about.get("annotations", {})


def check(one: Object) -> None:
    """Raise jsonschema.ValidationError for an object that a strict API server would refuse."""
    of_operator = one["apiVersion"].startswith("kubernetes.dask.org/")
    (_of_operator if of_operator else _of_kubernetes)(one["kind"], one["apiVersion"]).validate(one)


@cache
def _definitions() -> Registry:
    schemas = schema_contents(f"{SCHEMAS}/_definitions.json", "")
    return Resource.from_contents(schemas) @ Registry()


@cache
def _of_kubernetes(kind: str, version: str) -> Validator:
    """For objects of Kubernetes itself."""
    group, _, number = version.rpartition("/")
    names = [kind.lower(), *filter(None, [group.partition(".")[0]]), number]
    schema = schema_contents(f"{SCHEMAS}/{'-'.join(names)}.json", "")
    return Validator(schema, registry=_definitions())


@cache
def _of_operator(kind: str, _: str) -> Validator:
    """For custom resources of the operator."""
    text = files("dask_kubernetes").joinpath(f"{CRDS}/{kind.lower()}.yaml").read_text()
    (version,) = yaml.load(text, Loader=QUICK)["spec"]["versions"]
    schema = _strict(version["schema"]["openAPIV3Schema"])
    about = {"type": "object", "required": ["name"]}
    names = {"apiVersion": {"const": f"kubernetes.dask.org/{version['name']}"}}
    schema["properties"] |= names | {"kind": {"const": kind}, "metadata": about}
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return Validator(schema)


def _strict(node: Any) -> Any:
    """The same schema, in which what is not named is not allowed."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    new = {key: _strict(value) for key, value in node.items()}
    open_ended = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if isinstance(node.get("properties"), dict) and node.get("type") == "object" and not open_ended:
        new["additionalProperties"] = False
    return new


@dataclass(frozen=True)
class Role:
    """What a container runs: its command, and its environment, with all references resolved."""

    name: str
    command: list[str]
    environment: dict[str, str]
    before_stop: list[str]

    @classmethod
    def of(cls, pod: Object) -> Role:
        """Of the one container of a Pod or Deployment; KeyError for a reference to nothing."""
        spec = pod["spec"] if pod["kind"] == "Pod" else pod["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        values = {entry["name"]: _value(entry, container) for entry in container.get("env", ())}
        hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        command = [*container.get("command", ()), *container["args"]]
        return cls(container["name"], [_expanded(word, values) for word in command], values, hook)


def _value(entry: Object, container: Object) -> str:
    """That of an environment variable, as the kubelet gives it."""
    if "value" in entry:
        return entry["value"]
    part, _, name = entry["valueFrom"]["resourceFieldRef"]["resource"].partition(".")
    amount = container["resources"][part][name]
    sizes = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return str(int(amount[:-2]) * sizes[amount[-2:]]) if amount[-2:] in sizes else amount


def _expanded(word: str, values: dict[str, str]) -> str:
    """With $(NAME) replaced, as the kubelet does."""
    while "$(" in word:
        before, _, rest = word.partition("$(")
        name, _, after = rest.partition(")")
        word = f"{before}{values[name]}{after}"
    return word
