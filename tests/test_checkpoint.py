"""A fit that is cut off goes on to the same bits, and nothing else is mistaken for it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem
import trials
from dem import checkpoint as checkpoints
from dem.accelerate import QuasiNewton
from dem.checkpoint import Keeper
from dem.climb import Climb, Sweep
from dem.engine.hosts import choose
from dem.engine.readers import arrays
from dem.errors import DataError
from dem.records import State, Turn
from dem.report.progress import Silent
from dem.schedules import Incremental, Stepwise, VarianceReduced
from dem.stopping import Aitken
from dem.store import read, write
from dem.warm import WarmStart
from faults import Cut, CutAfter

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(3000, 2)) + c for c in ([0, 0], [2, 2], [-2, 1])])
RNG.shuffle(X)
MODEL = dem.Mixture(3, dem.Gaussian(dem.Full()))
HOW: dict[str, Any] = {"max_iter": 6, "tol": 0.0, "seed": 3}


def cut_off(place: Path, turns: int, data: Any = X, seconds: float = 0.0, **how: Any) -> None:
    """A fit that got so far."""
    with pytest.raises(Cut):
        dem.fit(
            MODEL, data, checkpoint=place, checkpoint_seconds=seconds,
            observer=CutAfter(turns), **(HOW | how),
        )  # fmt: skip


def bits(fitted: Any) -> tuple[Any, ...]:
    """All of a fit but the seconds that its turns took."""
    return *trials.bits(fitted), fitted.n_passes, fitted.converged


@pytest.mark.parametrize("turns", [1, 3, 6])
def test_resuming_gives_the_same_bits(tmp_path: Path, turns: int) -> None:
    if turns < 6:
        cut_off(tmp_path / "kept", turns)
    else:  # cut off after its end: nothing is left to do
        dem.fit(MODEL, X, checkpoint=tmp_path / "kept", **HOW)
    assert bits(dem.resume(tmp_path / "kept", X)) == bits(dem.fit(MODEL, X, **HOW))


WAYS: dict[str, dict[str, Any]] = {
    "incremental": {"schedule": Incremental(3), "max_iter": 4},
    "stepwise": {"schedule": Stepwise(3, sweeps=1), "accelerate": QuasiNewton()},
    "variance-reduced": {"schedule": VarianceReduced(3, epochs=1), "accelerate": QuasiNewton()},
    "accelerated": {"accelerate": QuasiNewton(2), "stop": Aitken(), "max_iter": 9},
    "warm": {"start": WarmStart(candidates=2), "max_passes": 6.0, "max_time": 1e6},
}


@pytest.mark.parametrize("turns", [1, 2, 4])
@pytest.mark.parametrize("way", WAYS)
def test_resuming_any_way_to_climb(
    tmp_path: Path, way: str, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "MEMORY_BLOCK_BYTES", 1)
    cut_off(tmp_path / "kept", turns, **WAYS[way])
    assert bits(dem.resume(tmp_path / "kept", X)) == bits(dem.fit(MODEL, X, **(HOW | WAYS[way])))


def test_in_the_second_of_several_attempts(tmp_path: Path) -> None:
    cut_off(tmp_path / "kept", 9, n_init=3)
    resumed, whole = dem.resume(tmp_path / "kept", X), dem.fit(MODEL, X, n_init=3, **HOW)
    assert resumed.n_passes == whole.n_passes + 1  # the third start needs the sample again
    assert bits(replace(resumed, n_passes=whole.n_passes)) == bits(whole)


def test_a_converged_fit_does_not_go_on(tmp_path: Path) -> None:
    fitted = dem.fit(MODEL, X, checkpoint=tmp_path / "kept", **(HOW | {"tol": 1e-2}))
    assert fitted.converged
    again = dem.resume(tmp_path / "kept", X)
    assert bits(again) == bits(fitted)


def test_more_turns_can_be_had(tmp_path: Path) -> None:
    dem.fit(MODEL, X, checkpoint=tmp_path / "kept", **HOW)
    longer = dem.resume(tmp_path / "kept", X, max_iter=9)
    assert bits(longer) == bits(dem.fit(MODEL, X, **(HOW | {"max_iter": 9})))


def test_a_killed_process(tmp_path: Path) -> None:
    """SIGKILL in mid-fit; the data are found again by their path."""
    np.save(tmp_path / "x.npy", X)
    script = (
        "import dem, time\n"
        "from dem.report.progress import Silent\n"
        "class Slow(Silent):\n"
        "    def on_step(self, step): time.sleep(0.2)\n"
        "model = dem.Mixture(3, dem.Gaussian(dem.Full()))\n"
        "dem.fit(model, 'x.npy', max_iter=60, tol=0.0, seed=3, checkpoint='kept', "
        "checkpoint_seconds=0, observer=Slow())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(dem.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=env)
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("kept/at-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed = dem.resume(tmp_path / "kept", max_iter=12)
    assert len(resumed.history) >= 2
    whole = dem.fit(MODEL, tmp_path / "x.npy", **(HOW | {"max_iter": len(resumed.history)}))
    assert bits(resumed) == bits(whole)


def test_only_two_are_kept_and_not_too_often(tmp_path: Path) -> None:
    dem.fit(MODEL, X, checkpoint=tmp_path / "each", checkpoint_seconds=0, **HOW)
    kept = ["at-000-000005", "at-000-000006", "owner.json"]
    assert sorted(os.listdir(tmp_path / "each")) == kept
    dem.fit(MODEL, X, checkpoint=tmp_path / "seldom", checkpoint_seconds=3600, **HOW)
    kept = ["at-000-000001", "at-000-000006", "owner.json"]
    assert sorted(os.listdir(tmp_path / "seldom")) == kept


def test_on_a_url(tmp_path: Path) -> None:
    place = f"memory://checkpoints/{tmp_path.name}"
    dem.fit(MODEL, X, checkpoint=place, checkpoint_seconds=0, **(HOW | {"max_iter": 4}))
    assert bits(dem.resume(place, X, max_iter=6)) == bits(dem.fit(MODEL, X, **HOW))


def test_a_damaged_one_leaves_the_one_before(tmp_path: Path) -> None:
    """Cut at any byte of any file: it is seen, said, and the one before goes on."""
    whole = dem.fit(MODEL, X, **HOW)
    cut_off(tmp_path / "kept", 4)
    newest = tmp_path / "kept" / "at-000-000004"
    files = sorted(path for path in newest.rglob("*") if path.is_file())
    rng = np.random.default_rng(0)
    for path in rng.permutation(np.array(files, dtype=object))[:12]:
        content = path.read_bytes()
        path.write_bytes(content[: int(rng.integers(len(content)))])
        with pytest.warns(UserWarning, match=r"could not be read: at-000-000004"):
            saved = checkpoints.load(tmp_path / "kept")
        assert len(saved.state.history) == 3
        path.write_bytes(content)
    files[0].unlink()
    with pytest.warns(UserWarning, match="could not be read"):
        assert bits(dem.resume(tmp_path / "kept", X)) == bits(whole)


@pytest.mark.parametrize(
    ("other", "weights", "difference"),
    [
        (X[:-1], None, "number of rows was 9000 and is 8999"),
        (X[:, :1], None, "number of columns was 2 and is 1"),
        (X.astype(np.float32), None, "dtype was float64 and is float32"),
        (X + 1, None, "the values differ"),
        (X, np.ones(len(X)), "weighted was False and is True"),
    ],
)
def test_other_data_are_refused(
    tmp_path: Path, other: np.ndarray, weights: Any, difference: str
) -> None:
    cut_off(tmp_path / "kept", 1)
    with pytest.raises(DataError, match=difference):
        dem.resume(tmp_path / "kept", other, weights=weights)


def test_data_that_had_no_path_must_be_given(tmp_path: Path) -> None:
    cut_off(tmp_path / "kept", 1)
    with pytest.raises(ValueError, match="pass them as `data`"):
        dem.resume(tmp_path / "kept")


def test_a_place_in_use_is_refused(tmp_path: Path) -> None:
    cut_off(tmp_path / "kept", 1)
    with pytest.raises(FileExistsError, match="holds a checkpoint: resume from it"):
        dem.fit(MODEL, X, checkpoint=tmp_path / "kept", **HOW)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"precious\.txt"):
        dem.fit(MODEL, X, checkpoint=tmp_path / "other", **HOW)


class Meanwhile(Silent):
    """An observer that does something else, once, after the turn of this number; 0 at the start."""

    def __init__(self, turn: int, act: Callable[[], Any]) -> None:
        self.turn, self.act = turn, act

    def on_start(self, description: str, total_steps: int | None) -> None:
        if self.turn == 0:
            self.act()

    def on_step(self, step: Any) -> None:
        if step.turn == self.turn:
            self.act()


def place_of(kind: str, tmp_path: Path) -> str:
    return str(tmp_path / "kept") if kind == "disk" else f"memory://{tmp_path}/kept"


@pytest.mark.parametrize("kind", ["disk", "URL"])
def test_two_fits_do_not_share_a_place(tmp_path: Path, kind: str) -> None:
    """Not even before the first turn of one of them, when nothing is there yet."""
    place = place_of(kind, tmp_path)

    def another() -> None:
        with pytest.raises(FileExistsError, match=r"belongs to process \d+ on .*kept nothing yet"):
            dem.fit(dem.Mixture(2, dem.Gaussian()), X, checkpoint=place, **HOW)

    fitted = dem.fit(MODEL, X, checkpoint=place, observer=Meanwhile(0, another), **HOW)
    assert bits(dem.resume(place, X)) == bits(fitted)


def test_of_two_that_claim_a_place_at_once_one_succeeds(tmp_path: Path) -> None:
    def claim(i: int) -> bool:
        try:
            Keeper(tmp_path / "kept", Climb(MODEL), manifest)
        except FileExistsError:
            return False
        return True

    manifest = dem.open_data(X)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(16))) == 1


@pytest.mark.parametrize("kind", ["disk", "URL"])
def test_whoever_resumes_takes_the_place_over(tmp_path: Path, kind: str) -> None:
    """The fit that was thought dead stops, and writes nothing over the one that went on."""
    place = place_of(kind, tmp_path)
    resumed: list[Any] = []

    def go_on() -> None:
        resumed.append(dem.resume(place, X, max_iter=4))

    with pytest.raises(RuntimeError, match="taken over by a fit that was resumed"):
        dem.fit(
            MODEL, X, checkpoint=place, checkpoint_seconds=0, observer=Meanwhile(2, go_on), **HOW
        )
    assert bits(dem.resume(place, X, max_iter=4)) == bits(resumed[0])
    assert bits(dem.resume(place, X, max_iter=6)) == bits(dem.fit(MODEL, X, **HOW))


def test_a_fit_that_kept_nothing_leaves_nothing(tmp_path: Path) -> None:
    bad = X.copy()
    bad[5, 1] = np.nan
    with pytest.raises(DataError):
        dem.fit(MODEL, bad, checkpoint=tmp_path / "kept", **HOW)
    assert not (tmp_path / "kept").exists()
    dem.fit(MODEL, X, checkpoint=tmp_path / "kept", **HOW)


def test_what_could_not_be_written_is_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while a checkpoint is being written does not lose that checkpoint."""

    def interrupted(*args: Any, **options: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "write", interrupted)
    fitted = dem.fit(MODEL, X, checkpoint=tmp_path / "kept", **HOW)
    assert fitted.interrupted
    assert bits(dem.resume(tmp_path / "kept", X, max_iter=1)) == bits(fitted)


def test_data_at_another_place_with_other_values(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", X + 1)
    cut_off(tmp_path / "kept", 1, tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"they were at .*x\.npy and are at .*y\.npy"):
        dem.resume(tmp_path / "kept", tmp_path / "y.npy")
    np.save(tmp_path / "x.npy", X + 1)
    with pytest.raises(DataError, match="the values differ"):
        dem.resume(tmp_path / "kept")


@pytest.mark.parametrize("empty", ["data", "checkpoint", "resume"])
def test_an_empty_path_is_refused(empty: str, tmp_path: Path) -> None:
    acts = {
        "data": lambda: dem.fit(MODEL, "", **HOW),
        "checkpoint": lambda: dem.fit(MODEL, X, checkpoint="", **HOW),
        "resume": lambda: dem.resume("", X),
    }
    with pytest.raises(ValueError, match="empty path"):
        acts[empty]()


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint is there"):
        dem.resume(tmp_path / "nowhere", X)


def crafted(tmp_path: Path, change: Any) -> Path:
    """A checkpoint whose arrays and record were changed by hand."""
    cut_off(tmp_path / "made", 1)
    arrays, record = read(tmp_path / "made" / "at-000-000001")
    record = json.loads(json.dumps(record))
    change(arrays, record)
    (tmp_path / "kept").mkdir()
    write(tmp_path / "kept" / "at-000-000001", arrays, record)
    return tmp_path / "kept"


def _shape(arrays: Any, record: Any) -> None:
    arrays["state_params_components_means"] = np.zeros((4, 2))


def _unknown_class(arrays: Any, record: Any) -> None:
    record["climb"]["fields"]["model"]["value"] = "os.system"


def _extra_field(arrays: Any, record: Any) -> None:
    record["climb"]["fields"]["model"]["fields"]["__class__"] = "Mixture"


def _other_class(arrays: Any, record: Any) -> None:
    record["climb"] = record["state"]


def _not_arrays(arrays: Any, record: Any) -> None:
    record["state"]["fields"]["params"]["fields"]["weights"] = "weights"


@pytest.mark.parametrize(
    "change", [_shape, _unknown_class, _extra_field, _other_class, _not_arrays]
)
def test_one_made_by_hand_is_refused(tmp_path: Path, change: Any) -> None:
    with pytest.raises(DataError):
        dem.resume(crafted(tmp_path, change), X)


def test_the_crafting_is_what_is_refused(tmp_path: Path) -> None:
    place = crafted(tmp_path, lambda arrays, record: None)
    assert bits(dem.resume(place, X)) == bits(dem.fit(MODEL, X, **HOW))


@dataclass(frozen=True)
class Unregistered(dem.Mixture):
    """A model of somebody's own."""


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    how = HOW | {"max_iter": 2}
    model = Unregistered(3, dem.Gaussian(dem.Full()))
    with pytest.raises(TypeError, match=r"register its class with the decorator dem\.store\.value"):
        dem.fit(model, X, checkpoint=tmp_path / "kept", **how)
    dem.store.value(Unregistered)
    fitted = dem.fit(model, X, checkpoint=tmp_path / "kept", **how)
    assert bits(dem.resume(tmp_path / "kept", X)) == bits(fitted)


def test_the_estimator_goes_on(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    model = dem.GaussianMixture(
        3, covariance_type="diag", max_iter=4, tol=1e-12, random_state=0,
        checkpoint=tmp_path / "kept",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="did not converge in 4"):
        model.fit(tmp_path / "x.npy")
    with pytest.warns(UserWarning, match="did not converge in 4"):
        again = dem.GaussianMixture.resume(tmp_path / "kept")
    assert again.means_.tobytes() == model.means_.tobytes()
    assert again.get_params()["covariance_type"] == "diag"
    assert np.array_equal(again.predict(X), model.predict(X))


def test_states_are_values() -> None:
    """A state that was kept is not changed by the turns after it."""
    manifest = dem.open_data(X)
    requests = Climb(MODEL, **HOW).run(manifest.boundaries, manifest.n_columns)
    states: list[State] = []
    with choose(manifest) as engine:
        request: Any = next(requests)
        while len(states) < HOW["max_iter"]:
            if isinstance(request, Turn):
                states.append(request.state)
            sweep = isinstance(request, Sweep)
            answer = engine.sweep(request.work, request.groups) if sweep else None
            if len(states) < HOW["max_iter"]:
                request = requests.send(answer)
    assert [len(state.history) for state in states] == [1, 2, 3, 4, 5, 6]
