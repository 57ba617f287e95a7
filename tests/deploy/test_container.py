"""The Dockerfile and the compose file: linted, and the install steps done outside a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import dem
from manifests import DEPLOY
from pods import of_dockerfile

CHECKOUT = DEPLOY.parent
DOCKERFILE = DEPLOY / "Dockerfile"
BIN = Path(sys.executable).parent


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "hadolint", "--no-color", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_hadolint_has_nothing_to_say() -> None:
    done = lint(DOCKERFILE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("WORKDIR /scratch", "WORKDIR scratch"), ('CMD ["dem", "--help"]', "CMD dem --help")],
)
def test_hadolint_finds_mistakes(right: str, wrong: str, tmp_path: Path) -> None:
    text = DOCKERFILE.read_text()
    assert right in text
    (tmp_path / "Dockerfile").write_text(text.replace(right, wrong))
    assert lint(tmp_path / "Dockerfile").returncode != 0


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_compose_file_has_the_schema_of_compose() -> None:
    done = checked(DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("command:", "comand:"),
        ("restart: on-failure:10", "restart: [10]"),
        ("init: true", "init: [1]"),
    ],
)
def test_mistakes_in_it_are_found(right: str, wrong: str, tmp_path: Path) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert right in text
    (tmp_path / "compose.yaml").write_text(text.replace(right, wrong))
    assert checked(tmp_path / "compose.yaml").returncode != 0


def test_compose_holds_no_password_and_listens_to_this_machine_alone() -> None:
    plan = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in plan["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        for name, value in service["environment"].items():
            assert ("PASSWORD" not in name and "SECRET" not in name) or value.startswith("${")


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage: a word, and what it is to do."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    found: list[list[tuple[str, str]]] = []
    for word, what in lines:
        if word == "FROM":
            found.append([])
        elif found:
            found[-1].append((word, what))
    return found


def test_the_image_is_slim_and_its_user_is_nobody_s_root() -> None:
    build, final = stages()
    assert not any(word == "RUN" and "pip" in what for word, what in final)
    assert dict(final)["USER"] == "1000:1000"
    assert any(word == "RUN" and "--require-hashes" in what for word, what in build)
    told = of_dockerfile()
    assert told["OPENBLAS_NUM_THREADS"] == "1"
    assert int(told["MALLOC_TRIM_THRESHOLD_"]) > 2**20


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_health_check_tells_the_living_from_the_dead() -> None:
    (what,) = (what for word, what in stages()[-1] if word == "HEALTHCHECK")
    program, *words = json.loads(what.partition("CMD")[2])
    assert program == "python"

    def code(port: int) -> int:
        told = {**os.environ, "HEALTH_PORT": str(port)}
        command = [sys.executable, *words]
        return subprocess.run(command, env=told, stderr=subprocess.DEVNULL, check=False).returncode

    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert code(server.server_port) == 0
        server.shutdown()
    assert code(server.server_port) != 0


def test_what_is_pinned_is_what_the_project_asks_for() -> None:
    """Each requirement of the extra `deploy` is met by the version that is pinned."""
    lines = (DEPLOY / "requirements.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==([^\s;]+)", lines, re.MULTILINE))
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = ("deploy", "dashboard", "dataframe", "remote")
    wanted = [*project["dependencies"]]
    wanted += [text for extra in extras for text in project["optional-dependencies"][extra]]
    for one in map(Requirement, wanted):
        assert one.name == "dask-em" or one.specifier.contains(pinned[one.name]), one


@pytest.mark.deploy
@pytest.mark.timeout(900)
def test_the_install_steps_give_a_dem_that_works(tmp_path: Path) -> None:
    """RUN and COPY of the build stage, with / moved to a directory."""
    root = tmp_path / "root"
    source = root / "src"
    source.mkdir(parents=True)
    (root / "opt").mkdir()

    def moved(text: str) -> str:
        return re.sub(r"(?<![\w.])/(opt|src)\b", rf"{root}/\1", text)

    kept = {name: os.environ[name] for name in os.environ.keys() - {"PYTHONPATH", "VIRTUAL_ENV"}}
    base = {**kept, "PATH": f"{tmp_path / 'bin'}:{kept['PATH']}"}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    for word, what in stages()[0]:
        if word == "COPY":
            *names, target = what.split()
            for name in names:
                place = source / target
                place = place / Path(name).name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                copy: Any = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
                copy(CHECKOUT / name, place)
        elif word == "RUN":
            subprocess.run(moved(what), shell=True, cwd=source, env=base, timeout=600, check=True)

    path = f"{root / 'opt' / 'dem' / 'bin'}:{kept['PATH']}"
    told = {**base, **of_dockerfile(), "PATH": path, "DASK_ROOT_CONFIG": str(tmp_path)}
    shutil.copy(DEPLOY / "dask.yaml", tmp_path / "dem.yaml")

    def said(*command: str) -> str:
        return subprocess.run(
            command, env=told, cwd=tmp_path, timeout=120, check=True, text=True, capture_output=True
        ).stdout

    assert dem.__version__ in said("dem", "--version")
    assert "--memory-limit" in said("dask", "worker", "--help")
    said("python", "-c", "import adlfs, bokeh, gcsfs, prometheus_client, pyarrow, s3fs")
    assert said("python", "-c", "import dem; print(dem.__file__)").startswith(str(root))
