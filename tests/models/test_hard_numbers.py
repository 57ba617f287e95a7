"""Numbers that are hard on floating point: the bound is monotone, and the answer right.

The reference is EM in fifty digits, from the same start, on the same (rounded) data.
"""

import warnings
from typing import Any

import numpy as np
import pytest

import dem
from dem.families import Gaussian
from dem.families.frame import Frame
from dem.models.mixture import Mixture, MixtureParams
from dem.posteriors import Exact, Hard
from dem.starts import Given
from mixtures import FORMS, climb, largest_fall, start
from reference import run

Array = np.ndarray
RNG = np.random.default_rng(1)
LABELS = np.arange(48) % 3
NOISE = RNG.normal(size=(48, 2))
CLUSTERS = NOISE * [1.0, 0.5] + np.array([[0, 0], [2, 1], [-1, 3]])[LABELS]
CORNERS = np.array([[0, 0], [1, 0], [0, 1]])[LABELS]
MIXED = np.where(LABELS[:, None] == 0, 1e-5 * NOISE + 0.3, CLUSTERS)

# The data and how far the answer may be off, as a share of the components' own spread. Rounding
# is 1e-16 of the data's spread, hence 1e-11 of clusters that are 1e-5 of it; and a log-density may
# lose 1e-10 before its component goes about its mean.
HARD = {
    "1e8 ± 1": (1e8 + CLUSTERS, 1e-12),
    "1e8 ± 1000": (1e8 + 1e3 * CLUSTERS, 1e-12),
    "1e-6 beside 1e6": (CLUSTERS * [1e-6, 1e6], 1e-12),
    "clusters at 1e-5": (1e-5 * NOISE + CORNERS, 1e-9),
    "one at 1e-5": (MIXED, 1e-9),
    "1e-5 beside 1e5, far away": ((MIXED + 1e3) * [1e-5, 1e5], 1e-9),
    # Precisions of 1e10 along one diagonal have as many digits fewer: 1e-16 · 1e10.
    "almost one line": (np.stack([NOISE[:, 0], NOISE[:, 0] + 1e-5 * NOISE[:, 1]], 1), 1e-5),
}
# A component that becomes tight is a turn behind the reference, which this many turns make up for.
TURNS = 16
# Rows in float32 are multiplied in float32 as long as that is enough: 1e-7 of each, of 45 rows.
# Tight components are some turns more behind.
SHORT, SHORT_TURNS = 1e-5, 32
# The last turn before float64 takes over has variances of 5e-4 of squares that are right to 1e-7.
SHORT_FALL = 5e-4
# Of these, float32 leaves two values, and clusters that are one point.
ONLY_FLOAT64 = {"1e8 ± 1", "1e-5 beside 1e5, far away"}
CASES = [
    pytest.param(name, form, dtype, id=f"{name}-{form}-{dtype}")
    for name in HARD
    for form in FORMS
    for dtype in ("float64", "float32")
    if not (name in ONLY_FLOAT64 and dtype == "float32")
    # There a row or two go to another component, of which no later turn brings them back.
    and (name, form, dtype) != ("one at 1e-5", "full", "float32")
]


def dense(form: str, covariances: Array, k: int, d: int) -> Array:
    """Covariances in the family's own shapes as K matrices (K, D, D)."""
    if form in ("full", "tied"):
        return np.broadcast_to(covariances, (k, d, d))
    return np.stack([np.diag(np.broadcast_to(c, d)) for c in covariances])


@pytest.mark.parametrize(("name", "form", "dtype"), CASES)
def test_against_fifty_digits(name: str, form: str, dtype: str) -> None:
    (rows, allowed), turns = HARD[name], TURNS
    rows = rows.astype(dtype)
    if dtype == "float32":
        allowed, turns = max(allowed, SHORT), SHORT_TURNS
    model = Mixture(3, Gaussian(FORMS[form]))
    first = start(model, rows)
    frame, (k, d) = first.components.frame, first.components.means.shape
    steps = climb(model, first, rows, turns)
    weights, means, covariances, bounds = run(
        form,
        (first.weights, first.components.means, dense(form, first.components.covariances, k, d)),
        rows,
        turns,
        origin=frame.origin,
        scale=frame.scale,
    )
    got = steps[-1].params
    spread = np.sqrt(np.einsum("kii->ki", covariances))
    ours = dense(form, got.components.covariances, k, d)
    off = {
        "weights": got.weights - weights,
        "means": (got.components.means - means) / spread,
        "covariances": (ours - covariances) / (spread[:, :, None] * spread[:, None, :]),
        "last bound": steps[-1].bound_e - (bounds[-1] - frame.log_volume),
    }
    for what, gaps in off.items():
        assert np.abs(gaps).max() <= allowed, what
    fall = SHORT_FALL if dtype == "float32" else max(1e-9, allowed)
    assert largest_fall(climb(model, first, rows, 40)) <= fall


def climb_from(form: str, means: Any, variance: float, rows: Array, posterior: Any) -> Any:
    """A fit from means (K, 2) and one variance for all, in the units of the data."""
    family, k = Gaussian(FORMS[form]), len(means)
    frame = Frame.of(rows.astype(float), np.ones(len(rows)), uniform=form == "spherical")
    shapes = {"full": np.eye(2)[None].repeat(k, 0), "tied": np.eye(2), "diag": np.ones((k, 2))}
    covariances = variance * shapes.get(form, np.ones(k))
    components = family.inward(np.array(means, float), covariances, frame)
    given = Given(MixtureParams(np.full(k, 1 / k), components))
    model = Mixture(k, family)
    return dem.fit(model, rows, start=given, posterior=posterior, max_iter=30, tol=0.0, threads=1)


def fall_of(fitted: Any) -> float:
    bounds = np.array([(r.bound_e, r.bound) for r in fitted.history]).ravel()
    return float((bounds[:-1] - bounds[1:]).max())


def is_finite(fitted: Any) -> bool:
    family, params = fitted.model.family, fitted.params
    parts = (params.weights, *family.outward(params.components))
    return all(np.isfinite(part).all() for part in parts)


POSTERIORS = pytest.mark.parametrize("posterior", [Exact(), Hard()], ids=["exact", "hard"])


@POSTERIORS
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("means", "variance"),
    [
        pytest.param([[0, 0], [1, 1], [50, 50]], 1.0, id="one is empty"),
        pytest.param([[1e6, 0], [0, 1e6], [-1e6, -1e6]], 1.0, id="far away"),
        pytest.param([[1e6, 0], [0, 1e6], [-1e6, -1e6]], 1e-12, id="far away and narrow"),
        pytest.param([[1e15, 0], [0, 1e15], [-1e15, -1e15]], 1.0, id="at the horizon"),
        pytest.param([[0, 0], [1, 0], [0, 1]], 1e-16, id="narrow"),
        pytest.param([[0, 0], [1, 0], [0, 1]], 1e16, id="broad"),
        pytest.param([[0, 0], [0, 0], [0, 0]], 1.0, id="all the same"),
    ],
)
def test_odd_starts(form: str, means: Any, variance: float, posterior: Any) -> None:
    fitted = climb_from(form, means, variance, CLUSTERS, posterior)
    assert is_finite(fitted)
    assert fall_of(fitted) <= 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_components_without_rows_count_for_nothing(form: str) -> None:
    """One component with all the rows and two with none: the closed form, pooled or not."""
    fitted = climb_from(form, [[0, 1], [1e3, 1e3], [-1e3, 1e3]], 1.0, CLUSTERS, Hard())
    alone = climb_from(form, [[0, 1]], 1.0, CLUSTERS, Hard())
    assert fitted.params.weights.tolist() == [1.0, 0.0, 0.0]
    assert fitted.lower_bound == pytest.approx(alone.lower_bound, abs=1e-12)


DISTINCT = np.repeat(CLUSTERS[:2], 12, axis=0)
COLUMN = CLUSTERS[:, :1]
OUTLIER = np.concatenate([CLUSTERS, [[1e12, 1e12]]])
# Data on which a covariance collapses in some direction or column, for the dense forms at least.
DEGENERATE = {
    "a constant column": np.hstack([CLUSTERS, np.full((48, 1), 1e6)]),
    "a column that is constant but for rounding": np.hstack([CLUSTERS, 1 + 1e-15 * NOISE[:, :1]]),
    "a column twice": np.hstack([CLUSTERS, COLUMN]),
    "a column that is a sum": np.hstack([CLUSTERS, CLUSTERS.sum(axis=1, keepdims=True)]),
    "sixty equal columns": np.repeat(COLUMN, 60, axis=1),
    "two hundred equal columns": np.repeat(COLUMN, 200, axis=1),
    "more columns than rows": RNG.normal(size=(20, 60)),
    "fewer distinct rows than components": DISTINCT,
    "all rows equal": np.full((20, 2), 3.7),
    "all zero": np.zeros((20, 2)),
    "1e8 ± 1 in float32": (1e8 + CLUSTERS).astype(np.float32),
    "as many rows as components": CLUSTERS[:3],
    "half of the rows at one point": np.concatenate([np.zeros((48, 2)), CLUSTERS]),
    "one far outlier": OUTLIER,
    "bool": CLUSTERS > 1,
    "int8": CLUSTERS.astype(np.int8),
    "variances that underflow": CLUSTERS * 1e-300,
    "denormal": np.round(CLUSTERS) * 5e-324,
}


@POSTERIORS
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate(name: str, form: str, posterior: Any) -> None:
    """No error, no NaN; the bound is monotone but for the rounding of variances at the floor.

    Such a variance is 1e-14 beside others of 1, so it is known to a few percent, and the bound to
    as much of a nat for each direction that has collapsed.
    """
    rows = DEGENERATE[name]
    for k in (1, 3):
        model = Mixture(k, Gaussian(FORMS[form]))
        fitted = dem.fit(model, rows, posterior=posterior, max_iter=12, tol=0.0, threads=1)
        assert is_finite(fitted)
        assert fall_of(fitted) <= (0.05 if form in ("full", "tied") else 1e-5)


@pytest.mark.parametrize("weight", [1e-20, 1e-3, 1e3, 1e20])
@pytest.mark.parametrize("form", FORMS)
def test_the_unit_of_the_weights(form: str, weight: float) -> None:
    """Equal weights change nothing but the mass, however small or large; nor does the start."""
    model = Mixture(3, Gaussian(FORMS[form]))
    first = start(model, CLUSTERS)
    masses = np.full(48, weight)
    one = climb(model, first, CLUSTERS, 8)
    other = climb(model, first, CLUSTERS, 8, masses)
    assert other[-1].weight == pytest.approx(48 * weight)
    assert other[-1].bound == pytest.approx(one[-1].bound, abs=1e-12)
    if weight < 1:
        begun = start(model, CLUSTERS, masses).components.means
        np.testing.assert_allclose(begun, first.components.means, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-160, 1e-30, 1e30, 1e120])
def test_any_unit(form: str, scale: float) -> None:
    """In other units the fit is the same, and the bound is shifted by their logarithm."""
    scale = float(np.exp2(np.round(np.log2(scale))))  # so that the data are the same to the bit
    model = Mixture(3, Gaussian(FORMS[form]))
    one = climb(model, start(model, CLUSTERS), CLUSTERS, 10)
    other = climb(model, start(model, CLUSTERS * scale), CLUSTERS * scale, 10)
    assert other[-1].bound == pytest.approx(one[-1].bound - 2 * np.log(scale), rel=1e-13)
    np.testing.assert_allclose(other[-1].params.weights, one[-1].params.weights, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["int16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("form", FORMS)
def test_dtypes(form: str, dtype: str) -> None:
    """Other types of numbers are as good as the same numbers in float64."""
    rows = np.round(20 * (CLUSTERS - CLUSTERS.min(axis=0))).astype(dtype)
    if dtype == "bool":
        rows = np.median(CLUSTERS, axis=0) < CLUSTERS
    model = Mixture(2, Gaussian(FORMS[form]))
    first = start(model, rows)
    ours, theirs = (climb(model, first, x, 5)[-1] for x in (rows, rows.astype(float)))
    assert ours.bound == theirs.bound
    assert ours.params.components.means.tobytes() == theirs.params.components.means.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("form", FORMS)
def test_float32_is_multiplied_as_such(form: str, dtype: str) -> None:
    """Numbers of few digits are multiplied in float32, unless some are far away."""
    rows = np.round(20 * (CLUSTERS - CLUSTERS.min(axis=0))).astype(dtype)
    model = Mixture(2, Gaussian(FORMS[form]))
    first = start(model, rows)

    def stats(rows: Array) -> Any:
        return model.e_step(model.prepare(first), rows, None, Exact())

    short, precise = stats(rows), stats(rows.astype(float))
    assert (short.sums.short, precise.sums.short) == (len(rows), 0)
    assert short.entropy == pytest.approx(precise.entropy, rel=1e-5)
    for name in ("weight", "first", "second"):
        ours, theirs = getattr(short.sums, name), getattr(precise.sums, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert short.sums.second.dtype == np.float64
    far = rows.copy()
    far[0, 0] = 10_000
    assert stats(far).sums.short == 0
    np.testing.assert_array_equal(stats(far).sums.second, stats(far.astype(float)).sums.second)


def test_large_integers_keep_their_differences() -> None:
    """Offsets above 2⁵³ are rounded when they become float64; those below are not."""
    steps = 2**52 + np.round(10 * CLUSTERS).astype(np.int64)
    model = Mixture(1, Gaussian())
    _, covariances, _ = model.family.outward(
        climb(model, start(model, steps), steps, 2)[-1].params.components
    )
    expected = np.cov((steps - 2**52).T, bias=True)
    np.testing.assert_allclose(covariances[0], expected, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["all rows equal", "fewer distinct rows than components"])
def test_the_face_warns(name: str, form: str) -> None:
    mixture = dem.GaussianMixture(3, covariance_type=form, reg_covar=0.0, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture.fit(DEGENERATE[name])
    said = [str(w.message) for w in caught if w.category is dem.DegenerateComponentWarning]
    assert any("variance is at its floor" in text for text in said)
    assert np.isfinite(mixture.score(DEGENERATE[name]))


@pytest.mark.parametrize("form", ["full", "tied", "diag"])
def test_a_column_that_the_sample_takes_for_constant(form: str) -> None:
    """A frame made of rows that are all alike in a column, though the data are not."""
    model = Mixture(1, Gaussian(FORMS[form]))
    sample = CLUSTERS.copy()
    sample[:, 1] = 5.0
    rows = CLUSTERS * [1.0, 1e6] + [0.0, 5.0]
    steps = climb(model, start(model, sample), rows, 4)
    assert largest_fall(steps) <= 1e-12
    alone = climb(model, start(model, rows), rows, 4)
    assert steps[-1].bound == pytest.approx(alone[-1].bound, abs=1e-9)
