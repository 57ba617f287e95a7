"""The house rules: style, types, the arrows between modules, and what an import costs."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import dem
from processes import python

CHECKOUT = Path(__file__).parents[1]


def run(*command: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    return python(*command, cwd=cwd)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["-m", "ruff", "check", "--no-cache"], id="ruff"),
        pytest.param(["-m", "mypy", "--cache-dir", "{scratch}"], id="types"),
        pytest.param(
            ["-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
            id="arrows",
        ),
    ],
)
def test_the_checkout_is_clean(command: list[str], tmp_path: Path) -> None:
    done = run(*(word.format(scratch=tmp_path / "cache") for word in command))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "dem",
        "dem.contract",
        "dem.em",
        "dem.errors",
        "dem.families",
        "dem.kernels",
        "dem.models",
        "dem.passes",
        "dem.posteriors",
        "dem.schedules",
        "dem.starts",
        "dem.stats",
        "dem.storable",
        "dem.wrap",
    ],
)
def test_the_mathematics_is_imported_without_dask_zarr_or_scikit_learn(
    module: str, tmp_path: Path
) -> None:
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "dem" in loaded
    assert not loaded & {"dask", "distributed", "fsspec", "sklearn", "zarr"}


def test_every_public_name_is_there() -> None:
    for name in dem.__all__:
        assert getattr(dem, name).__doc__, f"dem.{name} has no docstring"
    assert set(dem._MODULE_OF) | {"__version__"} == set(dem.__all__)
    assert {*dem.__all__, *dem._MODULES} <= set(dir(dem))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dem.nothing


def test_every_built_in_name_can_be_saved() -> None:
    from dem.storable import _BUILT_IN, type_named

    for name in _BUILT_IN:
        assert type_named(name).cls.__name__ == name


def test_types_are_shipped() -> None:
    assert (Path(dem.__file__).parent / "py.typed").is_file()


def test_no_module_stands_in_the_way_of_a_public_name() -> None:
    """Importing dem/fit.py, if there were one, would make `dem.fit` a module."""
    assert not {module.name for module in pkgutil.iter_modules(dem.__path__)} & set(dem.__all__)


def test_modules_are_there_without_being_imported() -> None:
    """As attributes, in a process in which nothing else has imported them."""
    names = ", ".join(f"dem.{name}" for name in dem._MODULES)
    subprocess.run([sys.executable, "-c", f"import dem; {names}"], check=True)
