"""What a user can cause: one line on standard error, an exit code, and nothing half-written."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import dem as library
from dem.cli import main
from dem.cli.signals import Ending, Stopped
from dem.cli.watch import Watch
from dem.engine.hosts import active_client
from dem.engine.readers import parquet
from dem.records import Record
from dem.report.progress import Silent


def the_error(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    assert output.rstrip().endswith(lines[0])
    return lines[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fit nowhere.zarr -k 2", "nowhere.zarr"),
        ("fit {npy} -k 2 --weights nowhere.npy", "nowhere.npy"),
        ("fit {npy} -k 2 --weights {npy}", "1D"),
        ("fit {npy} -k 5000", "n_components = 5000, n_samples = 3000"),
        ("fit {npy} -k 2 --out nowhere/model", "nowhere"),
        ("fit {npy} -k 2 --out {zarr}", "was not saved by dem"),
        ("fit {npy} -k 2 --out {npy}", "would lie on"),
        ("fit {npy} -k 2 --out {parquet}", "was not saved by dem"),
        ("fit {zarr}::x -k 2", "is a Zarr array and holds no others"),
        ("fit {npy}::x -k 2", "is not a Zarr group"),
        ("fit cut.npy -k 2", "is not a .npy file, or is cut short"),
        ("fit nonsense://x -k 2", "nonsense://x: Protocol not known"),
        ("fit {npy} -k 2 --scheduler nonsense://x", "nonsense"),
        ("fit text.csv -k 2", "not data that can be read"),
        ("show nowhere", "nowhere"),
        ("show {zarr}", "was not saved by dem"),
        ("score {npy} {npy}", "was not saved by dem"),
        ("score nowhere {npy}", "nowhere"),
        ("predict nowhere {npy} --out labels.npy", "nowhere"),
        ("predict {zarr} {npy} --out nowhere/labels.npy", "nowhere"),
    ],
)
def test_errors_in_a_line(dem, data, line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "cut.npy").write_bytes(data["npy"].read_bytes()[:50])
    before = set(tmp_path.iterdir())
    paths = {kind: str(path) for kind, path in data.items()}
    assert said in the_error(dem(line.format(**paths), code=1).output)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("option", ["DATA", "--out", "--checkpoint", "--weights"])
def test_an_empty_path_is_refused(data, option: str) -> None:
    line = ["fit", "" if option == "DATA" else str(data["npy"]), "-k", "2"]
    result = CliRunner().invoke(main, line + ([option, ""] if option != "DATA" else []))
    assert result.exit_code == 1
    assert "empty path" in the_error(result.output)


def test_a_model_is_not_data(dem, data) -> None:
    dem(f"fit {data['npy']} -k 2 --out model")
    assert "is a model that dem has saved" in the_error(dem("fit model -k 2", code=1).output)


def test_data_that_are_no_numbers(dem) -> None:
    array = zarr.create_array(
        "words.zarr", shape=(4, 2), chunks=(2, 2), dtype=np.dtypes.StringDType()
    )
    array[...] = "word"
    assert "strings (dtype StringDType())" in the_error(dem("fit words.zarr -k 2", code=1).output)
    np.save("words.npy", np.array([["a", "b"]]))
    assert "strings (dtype <U1)" in the_error(dem("fit words.npy -k 2", code=1).output)
    np.save("records.npy", np.zeros(4, [("width", "f8"), ("height", "f8")]))
    said = the_error(dem("fit records.npy -k 2", code=1).output)
    assert "records with the fields width, height" in said


def test_parquet_without_pyarrow(dem, data, monkeypatch) -> None:
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    said = the_error(dem(f"fit {data['parquet']} -k 2", code=1).output)
    assert "pip install 'dask-em[dataframe]'" in said


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ("-k 2", "-k was 3 and is 2"),
        ("-k 3 --covariance tied", "--covariance was diag and is tied"),
        ("-k 3 --tol 0.5", "--tol was 0.0 and is 0.5"),
        ("-k 3 --seed 1", "--seed was 0 and is 1"),
        ("-k 3 --init random", "--init was kmeans and is random"),
        ("-k 3 --posterior hard", "--posterior was exact and is hard"),
        ("-k 3 --reg-covar 1", "--reg-covar was 1e-06 and is 1.0"),
        ("-k 3 --n-init 2", "--n-init was 1 and is 2"),
    ],
)
def test_resuming_another_fit_is_refused(dem, data, options: str, difference: str) -> None:
    line = f"fit {data['npy']} --checkpoint kept --out model"
    given = "--covariance diag --tol 0 --init kmeans"
    dem(f"{line} -k 3 {given} --max-iter 2")
    said = the_error(dem(f"{line} {options} --resume --overwrite", code=1).output)
    assert difference in said
    # What is the same, or not given, is not in the way; and more turns can be had.
    dem(f"{line} -k 3 --tol 0 --max-iter 4 --resume")
    model = library.load("model")
    assert model.n_iter_ == 4
    assert (model.tol, model.max_iter) == (0, 4)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fit {npy} -k 0", "x>=1"),
        ("fit {npy}", "'-k'"),
        ("fit {npy} -k two", "two"),
        ("fit {npy} -k 2 --covariance round", "round"),
        ("fit {npy} -k 2 --tol -1", "x>=0"),
        ("fit {npy} -k 2 --workers 2 --scheduler tcp://h:1", "--scheduler and --workers"),
        ("fit {npy} -k 2 --workers 2 --threads 2", "--workers and --threads"),
        ("predict model {npy}", "--out"),
        ("frobnicate", "frobnicate"),
    ],
)
def test_wrong_usage(dem, data, line: str, said: str) -> None:
    output = dem(line.format(npy=data["npy"]), code=2).output
    assert said in output
    assert "Traceback" not in output


@pytest.mark.parametrize("kind", ["npy", "zarr", "parquet"])
def test_a_nan_is_named_with_its_place(dem, data, rows, kind, tmp_path) -> None:
    bad = rows.copy()
    bad[1234, 1] = np.nan
    if kind == "npy":
        np.save(data[kind], bad)
    elif kind == "zarr":
        zarr.open_array(data[kind], mode="r+")[...] = bad
    else:
        import pandas as pd

        pd.DataFrame(bad, columns=["width", "height"]).to_parquet(data[kind])
    said = the_error(dem(f"fit {data[kind]} -k 2 --out model", code=1).output)
    assert "NaN: row 1234, column 1" in said
    assert ("'height'" in said) == (kind == "parquet")
    assert not (tmp_path / "model").exists()


def test_data_of_another_width(dem, data) -> None:
    dem(f"fit {data['npy']} -k 2 --out model")
    np.save("wide.npy", np.ones((5, 3)))
    for line in ("score model wide.npy", "predict model wide.npy --out labels.npy"):
        assert "3 features" in the_error(dem(line, code=1).output)


def test_a_place_is_refused_before_anything_is_read(dem, data, monkeypatch) -> None:
    def fit(*args: object, **options: object) -> None:
        raise AssertionError("fitted before it was known where to put the model")

    monkeypatch.setattr(library.GaussianMixture, "fit", fit)
    dem(f"fit {data['npy']} -k 2 --out {data['zarr']}", code=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_to(dem, data, tmp_path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    said = the_error(dem(f"fit {data['npy']} -k 2 --out locked/model", code=1).output)
    assert "cannot be written" in said


def test_a_plan_that_does_not_fit_into_memory(dem, data, monkeypatch) -> None:
    from dem.engine.local import Local

    monkeypatch.setattr(Local, "memory", lambda self: iter([("This machine", 2, 1000)]))
    said = the_error(dem(f"fit {data['zarr']} -k 2 --out model", code=1).output)
    assert "This machine has" in said
    assert "Use smaller chunks" in said


def test_a_corrupt_chunk_is_named(dem, data, tmp_path) -> None:
    (data["zarr"] / "c" / "1" / "0").write_bytes(b"not what was written")
    said = the_error(dem(f"fit {data['zarr']} -k 2 --out model", code=1).output)
    assert "chunk (1, 0) (rows 700 to 1399)" in said


def test_no_scheduler_there(dem, data, monkeypatch) -> None:
    monkeypatch.setattr("dem.engine.session.CONNECT_SECONDS", 0.5)
    line = f"fit {data['npy']} -k 2 --scheduler tcp://127.0.0.1:1 --out model"
    assert "No scheduler answers at tcp://127.0.0.1:1" in the_error(dem(line, code=75).output)
    for address in ("nonsense://x", "localhost", "localhost:eight"):
        said = the_error(dem(f"runs --scheduler {address}", code=1).output)
        assert f"'{address}' is not the address of a scheduler" in said
    assert active_client() is None  # nor is one that could not connect in the way later


@pytest.mark.parametrize("line", ["--debug show nowhere", "show nowhere --debug"])
def test_debug_shows_where_an_error_came_from(dem, line: str) -> None:
    with pytest.raises(FileNotFoundError):
        dem(line, code=1)


def test_a_fault_of_our_own_is_not_dressed_up(dem, data, monkeypatch) -> None:
    def fit(*args: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(library.GaussianMixture, "fit", fit)
    with pytest.raises(ZeroDivisionError):
        dem(f"fit {data['npy']} -k 2", code=1)


def test_ctrl_c_before_the_first_turn(dem, data, monkeypatch, tmp_path) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    monkeypatch.setattr("dem.climb.Climb.run", interrupt)
    output = dem(f"fit {data['npy']} -k 2 --out model", code=130).output
    assert "Interrupted: no turn was complete, so nothing was written." in output
    assert set(tmp_path.iterdir()) == before


def test_k_means_is_taken_up_again_and_not_mistaken(dem, data) -> None:
    line = f"fit {data['npy']} --model k-means -k 3 --tol 0 --seed 4"
    dem(f"{line} --checkpoint kept --max-iter 1")
    for other, difference in (("--tol 0.5", "--tol was 0.0 and is 0.5"), ("-k 2", "-k was 3")):
        said = the_error(dem(f"{line} {other} --checkpoint kept --resume", code=1).output)
        assert difference in said
    mixture = f"fit {data['npy']} -k 3 --checkpoint kept --resume"
    assert "a fit of another kind" in the_error(dem(mixture, code=1).output)
    dem(f"{line} --checkpoint kept --resume --max-iter 50 --out resumed")
    dem(f"{line} --max-iter 50 --out whole")
    resumed, whole = library.load("resumed"), library.load("whole")
    assert resumed.cluster_centers_.tobytes() == whole.cluster_centers_.tobytes()
    assert resumed.n_iter_ == whole.n_iter_ > 1


def test_a_signal_that_was_lost_is_asked_for_after_each_turn() -> None:
    """What it raised had struck where exceptions are dropped."""
    ending = Ending()
    watch = Watch(Silent(), ending)
    watch.on_step(Record(1, 0.0, 0.0, 0.0))
    ending.heard = signal.SIGTERM
    with pytest.raises(Stopped):
        watch.on_step(Record(2, 0.0, 0.0, 0.0))
