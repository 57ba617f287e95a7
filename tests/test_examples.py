"""The examples run, obey the laws, and give the same fit from every kind of data."""

import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import dask.array as da
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster

import dem
from dem.fitting import Fit
from dem.posteriors import Exact, Hard
from dem.stats import leaves
from dem.testing import check_model
from processes import python

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
FEWER = {"flights": ["--rows", "50000"]}  # all of them are those of its notebook
ROWS, BLOCK = 9_000, 1_500


def load(path: Path) -> ModuleType:
    """A script as a module; workers need not import it, since its classes travel by value."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


@pytest.fixture(scope="module")
def zip_example() -> Iterator[ModuleType]:
    path = next(path for path in EXAMPLES if path.stem == "zero_inflated_poisson")
    module = load(path)
    yield module
    cloudpickle.unregister_pickle_by_value(module)
    del sys.modules[path.stem]


@pytest.fixture(scope="module")
def counts(zip_example: ModuleType) -> np.ndarray:
    return zip_example.Truth().draw(ROWS)


def bits(fitted: Fit) -> list[bytes]:
    bounds = np.array([(record.bound_e, record.bound) for record in fitted.history])
    return [leaf.tobytes() for leaf in (*leaves(fitted.params), bounds)]


def kinds(counts: np.ndarray, place: Path) -> dict[str, Any]:
    """The same rows in blocks of 1 500, held in three ways."""
    stored = zarr.create_array(str(place / "x.zarr"), data=counts, chunks=(BLOCK, counts.shape[1]))
    in_memory = da.from_array(counts, chunks=(BLOCK, -1))
    return {"Zarr": stored, "lazy Dask": in_memory + 0, "persisted Dask": in_memory.persist()}


def fit(model: Any, rows: Any, **options: Any) -> Fit:
    """A fit over blocks of 1 500 rows, to compare bits."""
    manifest = dem.open_data(rows, block_bytes=BLOCK * 3 * 8)
    assert manifest.n_blocks == ROWS // BLOCK
    return dem.fit(model, manifest, tol=0.0, **options)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_runs_as_a_script(path: Path, tmp_path: Path) -> None:
    done = python("-W", "error", str(path), *FEWER.get(path.stem, []), cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_the_laws(zip_example: ModuleType, counts: np.ndarray, weighted: bool) -> None:
    weights = np.random.default_rng(1).gamma(2.0, size=400) if weighted else None
    check_model(zip_example.ZeroInflatedPoisson(), counts[:400], weights=weights)


def test_the_laws_at_the_edge(zip_example: ModuleType) -> None:
    """No zeros at all, zeros alone, one column."""
    model, rng = zip_example.ZeroInflatedPoisson(), np.random.default_rng(2)
    for rows in (1 + rng.poisson(2.0, (50, 2)), rng.poisson(0.5, (50, 1))):
        check_model(model, rows)
    for posterior in (Exact(), Hard()):
        fitted = dem.fit(model, np.zeros((20, 2), int), posterior=posterior, max_iter=300)
        assert fitted.lower_bound == pytest.approx(0.0, abs=1e-2)


def test_it_finds_the_truth(zip_example: ModuleType) -> None:
    """Within five standard errors, and better than the truth itself on its own data."""
    truth, model = zip_example.Truth(), zip_example.ZeroInflatedPoisson()
    rows = truth.draw(20_000, seed=7)
    fitted = dem.fit(model, rows, tol=1e-10, max_iter=500)
    here = zip_example.Params(truth.zero, truth.rates)
    assert fitted.converged
    assert fitted.lower_bound >= model.log_prob(here, rows).mean()
    assert fitted.params.zero == pytest.approx(truth.zero, abs=5 * np.sqrt(0.3 * 0.7 / 20_000))
    errors = np.sqrt(truth.rates / (0.7 * 20_000))
    assert (np.abs(fitted.params.rates - truth.rates) < 5 * errors).all()


def test_threads(zip_example: ModuleType, counts: np.ndarray, tmp_path: Path) -> None:
    """The same blocks give the same bits, and other blocks the same fit."""
    model = zip_example.ZeroInflatedPoisson()
    fits = {
        (name, threads): fit(model, rows, max_iter=6, threads=threads)
        for name, rows in kinds(counts, tmp_path).items()
        for threads in (1, 2, 4)
    }
    first = bits(fits["Zarr", 1])
    for what, fitted in fits.items():
        assert bits(fitted) == first, what
    from_memory = dem.fit(model, counts, max_iter=6, tol=0.0)
    np.testing.assert_allclose(
        from_memory.params.rates, fits["Zarr", 1].params.rates, rtol=1e-12, atol=0
    )


def test_a_cluster(zip_example: ModuleType, counts: np.ndarray, tmp_path: Path) -> None:
    model = zip_example.ZeroInflatedPoisson()
    here = kinds(counts, tmp_path)
    expected = bits(fit(model, here["Zarr"], max_iter=4, threads=1))
    alone = dem.fit(model, counts, max_iter=4, tol=0.0)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        here["persisted Dask"] = da.from_array(counts, chunks=(BLOCK, -1)).persist()
        for name, rows in here.items():
            assert bits(fit(model, rows, max_iter=4)) == expected, name
        assert bits(dem.fit(model, counts, max_iter=4, tol=0.0)) == bits(alone)
        cloudpickle.unregister_pickle_by_value(zip_example)
        try:  # an error of the fit, from which the workers recover
            with pytest.raises(ModuleNotFoundError, match="zero_inflated_poisson"):
                dem.fit(model, counts, max_iter=4, tol=0.0)
        finally:
            cloudpickle.register_pickle_by_value(zip_example)
        assert bits(dem.fit(model, counts, max_iter=4, tol=0.0)) == bits(alone)


def test_the_first_example_of_the_readme_runs_as_a_script(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = [part.partition("```")[0] for part in readme.split("```python\n")[1:]]
    script = next(block for block in blocks if "with Client()" in block)
    small = script.replace("1_000_000", "20_000").replace("100_000", "5_000")
    assert small != script
    (tmp_path / "first.py").write_text(small)
    done = python("first.py", cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert zarr.open_array(tmp_path / "proba.zarr", mode="r").shape == (20_000, 10)
    assert dem.load(tmp_path / "model.zarr").n_features_in_ == 16
