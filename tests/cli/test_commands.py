"""fit, predict, score, show, against the library that they call."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import dem as library
from dem.cli import main

KINDS = ("zarr", "npy", "parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_fit_predict_score_show_say_what_the_library_says(dem, data, kind, tmp_path) -> None:
    path = str(data[kind])
    done = dem(f"fit {path} -k 3 --out model")
    expected = library.GaussianMixture(3, random_state=0).fit(path)
    assert "converged" in done.output
    assert f"{expected.lower_bound_:.8g}" in done.output
    np.testing.assert_array_equal(library.load(tmp_path / "model").means_, expected.means_)

    dem(f"predict model {path} --out labels.npy")
    dem(f"predict model {path} --out labels.zarr")
    labels = expected.predict(path).compute()
    assert set(labels) == {0, 1, 2}
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), labels)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr", mode="r")[:], labels)
    dem(f"predict model {path} --out shares.npy --proba")
    shares = expected.predict_proba(path).compute()
    np.testing.assert_array_equal(np.load(tmp_path / "shares.npy"), shares)

    said = json.loads(dem(f"score model {path} --json").output)
    assert said == {
        "rows": 3000,
        "mean_log_likelihood": pytest.approx(expected.score(path), rel=1e-14),
        "bic": pytest.approx(expected.bic(path), rel=1e-14),
        "aic": pytest.approx(expected.aic(path), rel=1e-14),
    }
    shown = json.loads(dem("show model --json").output)
    assert shown["weights"] == expected.weights_.tolist()
    assert shown["means"] == expected.means_.tolist()
    assert shown["columns"] == (["width", "height"] if kind == "parquet" else ["x0", "x1"])
    text = dem("show model").output
    assert all(f"{value:.4g}" in text for value in expected.means_.ravel())
    assert all(f"{value:.4f}" in text for value in expected.weights_)


def test_k_means(dem, data, tmp_path) -> None:
    path = str(data["zarr"])
    dem(f"fit {path} --model k-means -k 3 --seed 4 --out model")
    expected = library.KMeans(3, random_state=4).fit(path)
    dem(f"predict model {path} --out labels.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected.labels_.compute())
    said = json.loads(dem(f"score model {path} --json").output)
    assert said == {"rows": 3000, "inertia": pytest.approx(expected.inertia_, rel=1e-12)}
    shown = json.loads(dem("show model --json").output)
    assert shown["cluster_centers"] == expected.cluster_centers_.tolist()
    assert f"{expected.inertia_:.8g}" in dem("show model").output
    assert "no probabilities" in dem(f"predict model {path} --out p.npy --proba", code=2).output
    assert "--reg-covar" in dem(f"fit {path} --model k-means -k 3 --reg-covar 1", code=2).output


def test_every_option_reaches_the_estimator(dem, data, rows, tmp_path) -> None:
    weights = np.linspace(0.5, 2, len(rows))
    np.save(tmp_path / "weights.npy", weights)
    path = str(data["npy"])
    dem(
        f"fit {path} -k 2 --covariance diag --tol 0.5 --max-iter 7 --reg-covar 0.25 --init kmeans "
        "--n-init 2 --posterior hard --seed 3 --weights weights.npy --threads 1 --out model"
    )
    expected = library.GaussianMixture(
        2, covariance_type="diag", tol=0.5, max_iter=7, reg_covar=0.25, init_params="kmeans",
        n_init=2, posterior="hard", random_state=3,
    ).fit(path, sample_weight=weights)  # fmt: skip
    model = library.load(tmp_path / "model")
    np.testing.assert_array_equal(model.covariances_, expected.covariances_)
    np.testing.assert_array_equal(model.means_, expected.means_)
    said = json.loads(dem(f"score model {path} --weights weights.npy --json").output)
    likelihood = model.score(path, sample_weight=weights)
    assert said["mean_log_likelihood"] == pytest.approx(likelihood, rel=1e-14)


def test_the_words_of_fit_are_those_of_the_library() -> None:
    from dem.estimators import gaussian_mixture, inputs

    words = importlib.import_module("dem.cli.recipe")
    assert set(words.STARTS) == set(inputs.STARTS)
    assert set(words.POSTERIORS) == set(inputs.POSTERIORS)
    assert set(words.COVARIANCES) == set(inputs.COVARIANCES)
    assert set(words.COVARIANCES + words.SHARED) == set(gaussian_mixture.WORDS)


def test_forms_of_mclust_and_missing_values(dem, data, tmp_path) -> None:
    rows = np.load(data["npy"])
    rows[::3, 0] = np.nan
    np.save("gaps.npy", rows)
    assert "NaN" in dem("fit gaps.npy -k 2 --covariance VEI --out model", code=1).output
    dem("fit gaps.npy -k 2 --covariance VEI --missing --out model")
    model = library.load(tmp_path / "model")
    assert (model.covariance_type, model.missing) == ("VEI", True)
    shapes = model.covariances_ / np.sqrt(model.covariances_.prod(axis=1, keepdims=True))
    np.testing.assert_allclose(*shapes, rtol=1e-9)
    student = dem("fit gaps.npy -k 2 --model student-t-mixture --covariance VEI", code=2)
    assert "no --covariance VEI" in student.output
    assert json.loads(dem(f"select {data['npy']} -k 2 --covariance VEI,EII --json").output)


def test_quiet_shows_no_progress(dem, data) -> None:
    assert "iteration" in dem(f"fit {data['npy']} -k 2 --out model").output
    assert "iteration" not in dem(f"fit {data['npy']} -k 2 --out other --quiet").output


def test_without_out_nothing_is_kept_and_it_says_so(dem, data, tmp_path) -> None:
    before = set(tmp_path.iterdir())
    assert "will not be kept" in dem(f"fit {data['npy']} -k 2").output
    assert set(tmp_path.iterdir()) == before


def test_warnings_are_one_line(dem, data) -> None:
    lines = dem(f"fit {data['npy']} -k 3 --max-iter 2 --tol 0 --out model").output.splitlines()
    assert [line for line in lines if line.startswith("Warning: ")] == [
        line for line in lines if "did not converge in 2 iterations" in line
    ]
    assert sum("did not converge" in line for line in lines) == 1
    # Two of four components have no rows of their own.
    np.save("two.npy", np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0))
    text = dem("fit two.npy -k 4 --reg-covar 0 --out other").output
    assert "Warning: variance is at its floor" in text


def test_labels_are_replaced_only_if_asked(dem, data, tmp_path) -> None:
    path = str(data["npy"])
    dem(f"fit {path} -k 2 --out model")
    for out in ("labels.npy", "labels.zarr"):
        dem(f"predict model {path} --out {out}")
        assert "--overwrite" in dem(f"predict model {path} --out {out}", code=1).output
        dem(f"predict model {path} --out {out} --overwrite --proba")
    assert np.load(tmp_path / "labels.npy").shape == (3000, 2)
    assert zarr.open_array(tmp_path / "labels.zarr", mode="r").shape == (3000, 2)


def test_a_model_is_replaced_only_if_asked(dem, data, tmp_path) -> None:
    dem(f"fit {data['npy']} -k 2 --out model")
    assert "--overwrite" in dem(f"fit {data['npy']} -k 3 --out model", code=1).output
    assert len(library.load(tmp_path / "model").weights_) == 2
    dem(f"fit {data['npy']} -k 3 --out model --overwrite")
    assert len(library.load(tmp_path / "model").weights_) == 3


@pytest.mark.parametrize("option", ["--out", "--checkpoint"])
@pytest.mark.parametrize("place", ["rows.zarr", "rows.zarr/model", "rows.zarr/c/0/0/model", "."])
def test_a_fit_never_writes_inside_or_around_what_it_reads(
    dem, data, rows, option: str, place: str
) -> None:
    more = "--overwrite" if option == "--out" else ""
    output = dem(f"fit {data['zarr']} -k 2 {option} {place} {more}", code=1).output
    assert "would lie on, in or around" in output
    dem(f"fit {data['npy']} -k 2 --weights {data['zarr']}::w {option} {place} {more}", code=1)
    np.testing.assert_array_equal(zarr.open_array(data["zarr"], mode="r")[:], rows)
    assert {path.name for path in data["zarr"].iterdir()} == {"zarr.json", "c"}


def test_model_and_checkpoint_are_kept_apart(dem, data) -> None:
    dem(f"fit {data['npy']} -k 2 --out kept/model --checkpoint kept", code=1)
    dem(f"fit {data['npy']} -k 2 --out kept --checkpoint kept", code=1)


@pytest.mark.parametrize("out", ["rows.npy", "model", "rows.zarr", "model/weights", ".."])
def test_what_is_read_is_never_written_over(dem, data, rows, out, tmp_path) -> None:
    dem(f"fit {data['npy']} -k 2 --out model")
    for kind in ("npy", "zarr"):
        if out != f"rows.{'npy' if kind == 'zarr' else 'zarr'}":
            dem(f"predict model {data[kind]} --out {out} --overwrite", code=1)
    np.testing.assert_array_equal(np.load(data["npy"]), rows)
    np.testing.assert_array_equal(zarr.open_array(data["zarr"], mode="r")[:], rows)
    library.load(tmp_path / "model")


def test_a_directory_that_is_no_array_is_never_replaced(dem, data, tmp_path) -> None:
    dem(f"fit {data['npy']} -k 2 --out model")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    dem(f"predict model {data['npy']} --out thesis --overwrite", code=1)
    assert (tmp_path / "thesis" / "chapter").read_text() == "years of work"


@pytest.mark.parametrize("out", ["labels.npy", "labels.zarr"])
def test_labels_of_bad_rows_leave_nothing_and_keep_what_was_there(
    dem, data, rows, out, tmp_path, monkeypatch
) -> None:
    dem(f"fit {data['npy']} -k 2 --out model")
    dem(f"predict model {data['npy']} --out {out}")
    bad = rows.copy()
    bad[2990, 1] = np.nan
    stored = zarr.create_array(tmp_path / "bad.zarr", shape=bad.shape, chunks=(100, 2), dtype="f8")
    stored[...] = bad
    before = set(tmp_path.iterdir())
    monkeypatch.setattr("dem.engine.manifest.BLOCK_BYTES", 1600)
    text = dem(f"predict model bad.zarr --out {out} --overwrite", code=1).output
    assert "row 2990, column 1" in text
    assert set(tmp_path.iterdir()) == before
    labels = np.load(out) if out.endswith("npy") else zarr.open_array(out, mode="r")[:]
    np.testing.assert_array_equal(labels, library.load("model").predict(rows))


def test_labels_of_many_blocks_are_in_order(dem, rows, tmp_path) -> None:
    import dask.array as da

    from dem.cli.target import Target
    from dem.engine.output import computed

    seen: list[int] = []
    lazy = da.from_array(np.arange(997), chunks=10)
    for out in ("labels.npy", "labels.zarr"):
        Target.of(out).write(computed(lazy, seen.append), lazy.shape, lazy.dtype, 10)
    np.testing.assert_array_equal(np.load("labels.npy"), np.arange(997))
    stored = zarr.open_array("labels.zarr", mode="r")
    assert stored.chunks == (10,)
    np.testing.assert_array_equal(stored[:], np.arange(997))
    assert sum(seen) == 2 * 997


def test_labels_that_are_all_zero_can_be_read_as_data(dem, data, tmp_path) -> None:
    dem(f"fit {data['npy']} -k 1 --out model")
    dem(f"predict model {data['npy']} --out shares.zarr --proba")
    assert library.open_data(str(tmp_path / "shares.zarr")).n_rows == 3000
    stored = zarr.open_array(tmp_path / "shares.zarr", mode="r")
    assert stored.nchunks_initialized == stored.nchunks


def test_help_and_version() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in ("demo", "fit", "predict", "score", "show"))
    assert "Exit codes" in shown
    assert library.__version__ in CliRunner().invoke(main, ["--version"]).output
    for name in main.commands:
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_wide_models_are_cut_to_the_terminal(dem, monkeypatch, tmp_path: Path) -> None:
    np.save("wide.npy", np.random.default_rng(0).normal(size=(200, 40)))
    monkeypatch.setenv("COLUMNS", "60")
    dem("fit wide.npy -k 2 --covariance diag --out model")
    text = dem("show model").output
    assert "more columns; --json has all" in text
    assert max(map(len, text.splitlines())) <= 60


def test_labels(dem, data, rows, tmp_path) -> None:
    labels = np.where(np.arange(len(rows)) % 10 == 0, (rows[:, 0] > 0).astype(int), -1)
    np.save(tmp_path / "labels.npy", labels)
    line = f"fit {data['npy']} -k 2 --labels labels.npy --out model --checkpoint kept"
    dem(line)
    model = library.GaussianMixture(2, random_state=0).fit(data["npy"], labels=labels)
    found = library.load(tmp_path / "model").means_
    np.testing.assert_array_equal(found, model.means_)
    dem(f"{line} --resume")
    np.testing.assert_array_equal(library.load(tmp_path / "model").means_, found)
    assert (
        "k-means takes no --labels"
        in dem(f"fit {data['npy']} -k 2 --model k-means --labels labels.npy", code=2).output
    )


def test_a_bayesian_mixture(dem, data, tmp_path) -> None:
    path = str(data["npy"])
    how = "--model bayesian-gaussian-mixture -k 6 --concentration 0.01 --max-iter 500"
    dem(f"fit {path} {how} --out model")
    expected = library.BayesianGaussianMixture(
        6, weight_concentration_prior=0.01, max_iter=500, random_state=0
    ).fit(path)
    np.testing.assert_array_equal(library.load(tmp_path / "model").weights_, expected.weights_)
    assert json.loads(dem("show model --json").output)["means"] == expected.means_.tolist()
    assert "--concentration" in dem(f"fit {path} -k 2 --concentration 1", code=2).output
