"""A checkpoint made by hand: whatever is put anywhere is refused, or the fit can go on from it."""

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem
from dem import checkpoint as checkpoints
from dem.accelerate import QuasiNewton
from dem.climb import Climb
from dem.engine.hosts import choose
from dem.engine.readers import arrays as readers
from dem.errors import DataError
from dem.race import Race
from dem.reading import Sweep
from dem.records import Turn
from dem.schedules import Incremental, Stepwise, VarianceReduced
from dem.starts import Errands, KMeansParallel
from dem.warm import WarmStart
from dem.wrap import Frozen

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(100, 2)) + c for c in ([0, 0], [3, 3])])
RNG.shuffle(X)
GAUSSIANS = dem.Mixture(2, dem.Gaussian())


def climb(model: Any = GAUSSIANS, **how: Any) -> Climb:
    return Climb(model, tol=0.0, **({"max_iter": 9} | how))


WAYS: dict[str, Any] = {
    "accelerated": climb(accelerate=QuasiNewton(), n_init=2, max_iter=3),
    "incremental": climb(schedule=Incremental(3), start=WarmStart(KMeansParallel())),
    "stepwise": climb(schedule=Stepwise(3)),
    "variance-reduced": climb(schedule=VarianceReduced(3)),
    "frozen": climb(Frozen(GAUSSIANS, ("components.means",))),
    "student": climb(dem.Mixture(2, dem.StudentT())),
    "race": Race((climb(), climb(dem.Mixture(1, dem.Normal()), max_iter=2)), ("a", "b")),
}
JUNK: list[Any] = [
    None, True, "x", -1, 10**18, 1.5, {"float": "nan"}, {"tuple": []}, [], {"array": "nowhere"},
    {"value": "Exact", "fields": {}},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to everything inside a description."""
    yield path
    inside: Any = ()
    if isinstance(value, (dict, list)):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inside:
        yield from places(part, (*path, key))


def put(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """The same with something else at a place."""
    changed = copy.deepcopy(value)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = junk
    return changed


def drive(ascent: Any, state: Any, turns: int, tell: Any = lambda state: None) -> None:
    """Some turns of a climb or a race, from a state on or from the start."""
    manifest = dem.open_data(X)
    requests, answer = ascent.run(manifest.boundaries, manifest.n_columns, state), None
    with choose(manifest) as engine:
        while turns:
            try:
                request = requests.send(answer)
            except StopIteration:
                return
            answer = None
            match request:
                case Turn():
                    turns -= 1
                    tell(request.state)
                case Sweep():
                    answer = engine.sweep(request.work, request.groups)
                case Errands():
                    answer = engine.run(request.tasks)


@pytest.fixture(params=WAYS)
def kept(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Arrays and record of a checkpoint from the middle of a fit."""
    written: list[tuple[Any, Any]] = []

    def write(uri: Any, arrays: Any, record: Any) -> None:
        written.append((arrays, json.loads(json.dumps(record))))

    monkeypatch.setattr(checkpoints, "write", write)
    monkeypatch.setattr(readers, "MEMORY_BLOCK_BYTES", 1)
    manifest = dem.open_data(X)
    keeper = checkpoints.Keeper(tmp_path / "kept", WAYS[request.param], manifest, seconds=0.0)
    drive(WAYS[request.param], None, 4, keeper.offer)
    return written[-1]


@pytest.mark.filterwarnings("ignore")
def test_junk_in_a_description(kept: tuple[Any, Any]) -> None:
    arrays, record = kept
    drive(*checkpoints._understood(record, arrays), 2)
    everywhere = [(path, junk) for path in places(record) if path for junk in JUNK]
    some = np.random.default_rng(1).choice(len(everywhere), 400, replace=False)
    refused = 0
    for path, junk in (everywhere[i] for i in some):
        try:
            ascent, state = checkpoints._understood(put(record, path, junk), arrays)
        except Exception:  # whatever it is, a reader makes a DataError of it
            refused += 1
        else:
            drive(ascent, state, 2)
    assert refused > 300


@pytest.mark.filterwarnings("ignore")
def test_junk_in_arrays(kept: tuple[Any, Any]) -> None:
    arrays, record = kept
    for name, array in arrays.items():
        for junk in (
            np.zeros((*array.shape, 1)), np.append(array, 1.0), np.zeros(()), -array,
            np.zeros_like(array), array * 1e300, array.astype("S9"),
        ):  # fmt: skip
            try:
                ascent, state = checkpoints._understood(record, arrays | {name: junk})
            except Exception:
                continue
            assert junk.shape == array.shape
            with contextlib.suppress(DataError):
                drive(ascent, state, 2)
