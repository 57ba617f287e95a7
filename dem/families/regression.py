"""Regressions as components: p(y | x, k), with covariates x that nothing is said of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dem.checks import check_offers
from dem.contract import STARVED, Sample, Space
from dem.families.charts import Positive
from dem.families.frame import Frame
from dem.families.gaussian import SMALLEST_VARIANCE
from dem.families.minorisers import Minoriser
from dem.families.parameters import at_the_limit
from dem.families.regression_tiles import RegressionTiles
from dem.families.responses import NormalResponse, Response
from dem.families.space import Scaled, imputed
from dem.kernels.normal import load_tile

Array = np.ndarray
ROUNDS = 20  # of the M-step of a start
CLOSE = 1e-6  # nats per unit of weight: a start need not be better


@dataclass(frozen=True, eq=False)
class RegressionParams:
    """coefficients (K, P), the intercept first if there is one, and variances (K,), in the frame.

    The frame is of all columns, (D + 1,); it shifts nothing where there is no intercept.
    """

    coefficients: Array
    variances: Array
    frame: Frame


@dataclass(frozen=True, eq=False)
class RegressionPrepared:
    """θ, and what is added to v / σ² for log πₖ p(y | x, k), (K,)."""

    params: RegressionParams
    constant: Array


@dataclass(frozen=True)
class Regression:
    """p(y | x, k) = p(y; η), η = βₖᵀ(1, x): a generalised linear model for each component.

    Rows are (x, y), the response y in the last column (Grün and Leisch 2008). The likelihood is
    that of y given x. Where log p(y; η) is no quadratic the M-step maximises one of the functions
    below it (`dem.families.minorisers`), as a Newton step would, but it never goes too far.

    Collinear covariates: directions in which there is less than 1e-10 of the curvature keep their
    coefficients, which begin at 0.

    response : a `NormalResponse()`, `PoissonResponse()` or `BinomialResponse(trials)`.
    intercept : whether there is a 1 beside x.
    """

    response: Response = field(default_factory=NormalResponse)
    intercept: bool = True

    def __post_init__(self) -> None:
        check_offers("response", self.response, Response)
        if not isinstance(self.intercept, bool):
            raise TypeError(f"intercept must be bool, got {self.intercept!r}")

    def frame(self, sample: Sample) -> Space:
        """Standard deviations of all columns, y too: for starts by distances, which are poor."""
        return Scaled.of(sample)

    def start(self, sample: Sample, responsibilities: Array) -> RegressionParams:
        """Some M-steps on a sample under responsibilities (K, m), from η = 0; see `Family.start`.

        Rows with values that cannot be are left out; the first E-step names them.
        """
        width = sample.rows.shape[1]
        if width < 2 - self.intercept:
            raise ValueError("a regression needs covariates and a response: X has too few columns")
        usable = np.isfinite(sample.rows).all(axis=1)
        usable &= ~self.response.outside(sample.rows[:, -1])
        rows = np.where(usable[:, None], sample.rows, 0.0)
        r = responsibilities * (sample.weights * usable)
        params, last = self._blank(len(r), sample), -np.inf
        with np.errstate(all="ignore"):
            for _ in range(ROUNDS):
                sums = self._sums(params, rows, r)
                value = float(sums.value.sum())
                if value - last <= CLOSE * r.sum():
                    break
                params, last = self.maximise(params, sums), value
        return params

    def _blank(self, k: int, sample: Sample) -> RegressionParams:
        rows, weights = imputed(sample), sample.weights
        if not self.intercept:  # about 0, which is then the mean
            rows, weights = np.concatenate([rows, -rows]), np.tile(weights, 2)
        frame = Frame.of(rows, weights)
        origin, scale = frame.origin * self.intercept, frame.scale.copy()
        if not self.response.scaled:
            origin[-1], scale[-1] = 0.0, 1.0
        p = len(scale) - 1 + self.intercept
        return RegressionParams(np.zeros((k, p)), np.ones(k), Frame(origin, scale))

    def _sums(self, params: RegressionParams, rows: Array, r: Array) -> Minoriser:
        tiles = self.tiles(self.prepare(params, np.zeros(len(r))), rows, None)
        for here, _, _ in tiles:
            tiles.add(r[:, here])
        return tiles.sums()

    def prepare(self, params: RegressionParams, offset: Array) -> RegressionPrepared:
        return RegressionPrepared(params, offset + self._log_norm(params))

    def _log_norm(self, params: RegressionParams) -> Array:
        return self.response.log_norm(params.variances) - np.log(params.frame.scale[-1])

    def tiles(
        self,
        prepared: RegressionPrepared,
        rows: Array,
        weights: Array | None,
        size: int | None = None,
    ) -> RegressionTiles:
        return RegressionTiles(self, prepared, rows, size)

    def maximise(self, params: RegressionParams, sums: Minoriser) -> RegressionParams:
        alive = sums.weight > STARVED * sums.weight.sum()
        sums = sums.about(params.coefficients)
        coefficients = np.where(alive[:, None], sums.climbed(), params.coefficients)
        variances = self.response.variances(sums, coefficients, params.variances)
        variances = np.where(alive, variances, params.variances)
        return replace(params, coefficients=coefficients, variances=variances)

    def expected_log_density(self, params: RegressionParams, sums: Minoriser) -> float:
        values = sums.at(params.coefficients) / params.variances
        return float(values.sum() + sums.weight @ self._log_norm(params))

    def outward(self, params: RegressionParams) -> tuple[Array, Array, Array]:
        """(slopes (K, D), intercepts (K,), standard deviations (K,)) in the user's units."""
        frame, beta = params.frame, params.coefficients
        slopes = beta[:, self.intercept :] * (frame.scale[-1] / frame.scale[:-1])
        constant = beta[:, 0] * frame.scale[-1] if self.intercept else np.zeros(len(beta))
        intercepts = constant - slopes @ frame.origin[:-1] + frame.origin[-1]
        return slopes, intercepts, np.sqrt(params.variances) * frame.scale[-1]

    def described(self, params: RegressionParams) -> dict[str, Array]:
        """coef (K, D) and intercept (K,) of η, and sigma (K,) if y is normal, in user's units."""
        slopes, intercepts, sigma = self.outward(params)
        own = {"coef": slopes, "intercept": intercepts}
        return own | ({"sigma": sigma} if self.response.dispersed else {})

    def means(self, params: RegressionParams, covariates: Array) -> Array:
        """E[y | x, k] (K, n) for covariates (n, D), in the user's units."""
        frame = params.frame
        x = np.empty((1 + covariates.shape[1], len(covariates)))
        x[0] = 1.0
        load_tile(covariates, frame.origin[:-1], frame.scale[:-1], x[1:])
        eta = params.coefficients @ x[1 - self.intercept :]
        return np.asarray(self.response.mean(eta) * frame.scale[-1] + frame.origin[-1])

    def check(self, params: RegressionParams, k: int) -> None:
        """Raise ValueError unless params have the shapes and signs of k components."""
        d = params.frame.origin.shape[0] - 1
        params.frame.check(d + 1)
        if params.coefficients.shape != (k, d + self.intercept):
            raise ValueError(
                f"coefficients have the shape {params.coefficients.shape}, not "
                f"{(k, d + self.intercept)}"
            )
        if params.variances.shape != (k,) or not (params.variances > 0).all():
            raise ValueError(f"variances must be {k} positive numbers")
        if not np.isfinite(params.coefficients).all():
            raise ValueError("coefficients must be finite")

    def diagnose(self, params: RegressionParams) -> tuple[str, ...]:
        low = params.variances <= 10 * SMALLEST_VARIANCE
        return at_the_limit("variance is at its floor", low, "a line goes through all rows of")

    def flatten(self, params: RegressionParams) -> Array:
        """The coefficients in the frame, and log σ² where there is one."""
        rest = [np.log(params.variances)] if self.response.dispersed else []
        return np.concatenate([params.coefficients.ravel(), *rest])

    def unflatten(self, vector: Array, like: RegressionParams) -> RegressionParams:
        coefficients, rest = np.split(vector, [like.coefficients.size])
        variances = like.variances
        if self.response.dispersed:
            variances = Positive(SMALLEST_VARIANCE).unflatten(rest)
        shape = like.coefficients.shape
        return replace(like, coefficients=coefficients.reshape(shape), variances=variances)

    def n_parameters(self, params: RegressionParams) -> int:
        return params.coefficients.size + len(params.variances) * self.response.dispersed

    def sample(self, params: RegressionParams, counts: Array, rng: np.random.Generator) -> Array:
        """Rows whose covariates, of which the model says nothing, are normal in the frame."""
        frame, labels = params.frame, np.repeat(np.arange(len(counts)), counts)
        x = np.ones((len(labels), len(frame.scale)))
        x[:, 1:] = rng.standard_normal((len(labels), len(frame.scale) - 1))
        eta = np.vecdot(params.coefficients[labels], x[:, 1 - self.intercept :])
        y = self.response.draw(eta, params.variances[labels], rng)
        return frame.outward(np.column_stack([x[:, 1:], y]))

    def outside(self, x: Array) -> Array:
        """(D + 1, n) bool: which values of rows as columns have no density."""
        outside = np.zeros(x.shape, bool)
        outside[-1] = self.response.outside(x[-1])
        return outside

    def allowed(self, column: int) -> str:
        """What values there may be in the last column, in words."""
        return self.response.support
