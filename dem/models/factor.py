"""Linear-Gaussian models, whose h is continuous: factor analysis and probabilistic PCA.

    x = μ + W z + ε,   z ~ N(0, I) of q dimensions,   ε ~ N(0, Ψ), Ψ diagonal

What an E-step leaves is of the size D × q: this is for data of many columns, for which second
moments, D × D, are too many. With fewer, `Mixture(1, Gaussian(Factors(q)))` needs one read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dem.checks import check_number
from dem.contract import Posterior, Sample
from dem.families.axes import Diagonal, Spherical
from dem.families.frame import Frame
from dem.families.gaussian import LOG_2PI, Gaussian
from dem.families.space import imputed
from dem.kernels.factors import LEAST, upright
from dem.kernels.latent import Latent, conditional
from dem.kernels.normal import load_tile
from dem.posteriors import Exact
from dem.stats import Stats, Vector

Array = np.ndarray
SMALLEST = 1e-14  # of a variance in the frame, where the data have about 1
VOLUME = 2**18  # numbers of a tile, which are 2 MB
FEW = 1000  # rows that are enough for a start


@dataclass(frozen=True, eq=False)
class LinearParams:
    """μ (D,), W (D, q) and the diagonal of Ψ (D,), in units of the frame."""

    means: Array
    loadings: Array
    noise: Array
    frame: Frame


@dataclass(frozen=True, eq=False)
class LinearSums(Vector):
    """With u = (z, 1): Σ w x² (D,), Σ w x E[u]ᵀ (D, q + 1), Σ w E[u uᵀ], Σ w E[zᵀz].

    Where values may be missing each column has a gram matrix of its own, (D, q + 1, q + 1), over
    the rows that have it; else there is one for all, (1, q + 1, q + 1).
    """

    squares: Array
    cross: Array
    gram: Array
    energy: float


class LinearPrepared(NamedTuple):
    params: LinearParams
    precision: Array  # Ψ⁻¹, (D,)
    scaled: Array  # Ψ⁻¹ W, (D, q)
    complete: Latent  # of rows without missing values
    peaks: Array  # (D,), what each column adds to a log-density at its mean


@dataclass(frozen=True)
class LinearGaussian:
    """x = μ + W z + ε; see `dem.models.factor`. The E-step sets q(z) = N(V Wᵀ Ψ⁻¹ (x − μ), V) with
    V = (I + Wᵀ Ψ⁻¹ W)⁻¹, the M-step is a regression of x on z (Rubin and Thayer 1982).

    q : number of factors.
    noise : `Diagonal()` for factor analysis, `Spherical()` for probabilistic PCA (Ψ = σ² I).
    missing : whether NaN is a missing value (missing at random): each row has a V of its own, and
        each column is regressed on the z of the rows that have it.

    Only the exact posterior is there.
    """

    unsuited: ClassVar[dict[str, str]] = {
        "icl": "its h is continuous, so that there are no classes to be told apart"
    }

    q: int
    noise: Any = field(default_factory=Diagonal)
    missing: bool = False

    def __post_init__(self) -> None:
        check_number("q", self.q, int, 1)
        if not isinstance(self.noise, (Diagonal, Spherical)):
            raise TypeError(f"noise must be Diagonal() or Spherical(), got {self.noise!r:.60}.")

    def start(self, sample: Sample, rng: np.random.Generator) -> LinearParams:
        """Principal axes of some rows of the sample; what they leave of a variance is noise."""
        frame = Gaussian(self.noise, missing=self.missing).units(sample)
        x = frame.inward(imputed(sample) if self.missing else sample.rows)
        share = sample.weights / sample.weights.sum()
        means = share @ x
        variances = np.maximum(share @ np.square(x - means), SMALLEST)
        few = np.sort(rng.permutation(len(x))[: max(FEW, 2 * self.q)])
        y = (x[few] - means) * np.sqrt(share[few] / share[few].sum())[:, None]
        _, sizes, axes = np.linalg.svd(y, full_matrices=False)
        loadings = np.zeros((x.shape[1], self.q))
        there = min(self.q, len(sizes))
        loadings[:, :there] = upright(axes[:there].T) * sizes[:there]
        noise = np.maximum(variances - np.square(loadings).sum(axis=1), 0.1 * variances)
        return LinearParams(means, loadings, self._shared(noise, np.ones(len(noise))), frame)

    def prepare(self, params: LinearParams) -> LinearPrepared:
        precision = 1.0 / params.noise
        scaled = params.loadings * precision[:, None]
        complete = conditional((params.loadings.T @ scaled)[None])
        peaks = -(np.log(params.noise) + LOG_2PI) / 2 - np.log(params.frame.scale)
        return LinearPrepared(params, precision, scaled, complete, peaks)

    def e_step(
        self, prepared: LinearPrepared, rows: Array, weights: Array | None, posterior: Posterior
    ) -> Stats:
        if not isinstance(posterior, Exact):
            raise TypeError(f"z is continuous: its posterior is Exact(), not {posterior!r:.60}.")
        (d, q), grams = prepared.params.loadings.shape, self.missing
        squares, cross = np.zeros(d), np.zeros((d, q + 1))
        gram, energy, entropy = np.zeros((d if grams else 1, q + 1, q + 1)), 0.0, 0.0
        for here, x, there in self._tiles(prepared, rows):
            w = np.ones(x.shape[1]) if weights is None else weights[here]
            z, latent, _ = self._latent(prepared, x, there)
            u = np.vstack([z, np.ones_like(w)])
            squares += np.square(x) @ w
            cross += x @ (u * w).T
            spread = np.broadcast_to(latent.covariance, (len(w), q, q))
            if there is None:
                own = (u * w) @ u.T
                own[:q, :q] += w.sum() * latent.covariance[0]
                gram += own
            else:
                outer = u.T[:, :, None] * u.T[:, None, :]
                outer[:, :q, :q] += spread
                gram += ((there * w) @ outer.reshape(len(w), -1)).reshape(gram.shape)
            energy += float(w @ (np.square(z).sum(axis=0) + np.trace(spread, axis1=1, axis2=2)))
            entropy += float(w @ np.broadcast_to(latent.entropy, w.shape))
        weight = float(len(rows) if weights is None else weights.sum())
        return Stats(weight, entropy, LinearSums(squares, cross, gram, energy))

    def m_step(self, params: LinearParams, stats: Stats) -> LinearParams:
        sums, old = stats.sums, np.column_stack([params.loadings, params.means])
        counts = np.broadcast_to(sums.gram[:, -1, -1], len(old))
        alive = counts > 0  # a column may have no values at all
        gram = np.where(sums.gram[:, -1:, -1:] > 0, sums.gram, np.eye(self.q + 1))
        new = np.where(alive[:, None], np.linalg.solve(gram, sums.cross[..., None])[..., 0], old)
        n = np.where(alive, counts, 1.0)
        left = np.where(alive, (sums.squares - (new * sums.cross).sum(axis=1)) / n, params.noise)
        # No lower than it was, if that is below the least: then the bound would fall.
        least = np.maximum(np.minimum(LEAST * sums.squares / n, params.noise), SMALLEST)
        noise = np.maximum(self._shared(left, np.where(alive, counts, 0.0)), least)
        noise = noise if isinstance(self.noise, Diagonal) else np.full_like(noise, noise.max())
        means, loadings = (
            new[:, -1].copy(),
            new[:, :-1].copy(),
        )  # as after a journey: bits are alike
        return replace(params, means=means, loadings=loadings, noise=noise)

    def expected_log_joint(self, params: LinearParams, stats: Stats) -> float:
        sums, a = stats.sums, np.column_stack([params.loadings, params.means])
        counts = np.broadcast_to(sums.gram[:, -1, -1], len(a))
        fitted = (a * (np.matmul(sums.gram, a[:, :, None])[..., 0] - 2 * sums.cross)).sum(axis=1)
        units = np.log(params.noise) + LOG_2PI + 2 * np.log(params.frame.scale)
        of_rows = counts @ units + ((sums.squares + fitted) / params.noise).sum()
        return float(-(of_rows + sums.energy + stats.weight * self.q * LOG_2PI) / 2)

    def log_prob(self, prepared: LinearPrepared, rows: Array) -> Array:
        result = np.empty(len(rows))
        for here, x, there in self._tiles(prepared, rows):
            z, latent, y = self._latent(prepared, x, there)
            peak = prepared.peaks.sum() if there is None else prepared.peaks @ there
            # y'Σ⁻¹y = (y − Wz)'Ψ⁻¹(y − Wz) + z'z at the mean of z, a sum of squares
            apart = y - prepared.params.loadings @ z
            apart = apart if there is None else apart * there
            quadratic = prepared.precision @ np.square(apart) + np.square(z).sum(axis=0)
            result[here] = peak - latent.log_det - quadratic / 2
        return result

    def posterior(self, prepared: LinearPrepared, rows: Array) -> Array:
        """E[z | x] for each row, (n, q)."""
        result = np.empty((len(rows), self.q))
        for here, x, there in self._tiles(prepared, rows):
            result[here] = self._latent(prepared, x, there)[0].T
        return result

    def expected(self, params: LinearParams, rows: Array) -> Array:
        """E[x | what is there of x], (n, D), in the user's units."""
        z = self.posterior(self.prepare(params), rows)
        return params.frame.outward(params.means + z @ params.loadings.T)

    def flatten(self, params: LinearParams) -> Array:
        noise = np.log(params.noise if isinstance(self.noise, Diagonal) else params.noise[:1]) / 2
        return np.concatenate([params.means, params.loadings.ravel(), noise])

    def unflatten(self, vector: Array, like: LinearParams) -> LinearParams:
        d, q = like.loadings.shape
        means, loadings, noise = np.split(vector, [d, d + d * q])
        noise = np.maximum(np.exp(2 * np.broadcast_to(noise, d)), SMALLEST)
        return replace(like, means=means, loadings=loadings.reshape(d, q), noise=noise)

    def outward(self, params: LinearParams) -> tuple[Array, Array, Array]:
        """(μ (D,), W (D, q), Ψ (D,)) in the user's units."""
        scale = params.frame.scale
        return (
            params.frame.outward(params.means),
            params.loadings * scale[:, None],
            params.noise * scale**2,
        )

    def check(self, params: LinearParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this model's have."""
        d = len(params.means)
        params.frame.check(d)
        shapes = params.means.shape, params.loadings.shape, params.noise.shape
        if shapes != ((d,), (d, self.q), (d,)):
            raise ValueError(f"means, loadings and noise have the shapes {shapes}")
        if not (params.noise > 0).all():
            raise ValueError("noise must be positive")

    def n_parameters(self, params: LinearParams) -> int:
        d, q = params.loadings.shape
        free = d if isinstance(self.noise, Diagonal) else 1
        return d + min(d * q - q * (q - 1) // 2 + free, d * (d + 1) // 2)

    def sample(self, params: LinearParams, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """n rows (n, D), and the z (n, q) that they came from."""
        means, loadings, noise = self.outward(params)
        z = rng.standard_normal((n, self.q))
        return means + z @ loadings.T + rng.standard_normal((n, len(means))) * np.sqrt(noise), z

    def _tiles(
        self, prepared: LinearPrepared, rows: Array
    ) -> Iterator[tuple[slice, Array, Array | None]]:
        """(which rows, x (D, n) in the frame, what is there (D, n) or None if nothing lacks)."""
        frame, (d, q) = prepared.params.frame, prepared.params.loadings.shape
        size = max(VOLUME // (d + q * q), 16)
        for start in range(0, len(rows), size):
            here = slice(start, min(start + size, len(rows)))
            x = np.empty((d, here.stop - start))
            load_tile(rows[here], frame.origin, frame.scale, x)
            missing = np.isnan(x) if self.missing else None
            if missing is None or not missing.any():
                yield here, x, None
            else:
                x[missing] = 0.0
                yield here, x, (~missing).astype(float)

    def _latent(
        self, prepared: LinearPrepared, x: Array, there: Array | None
    ) -> tuple[Array, Latent, Array]:
        """(E[z] (q, n), the posterior of z, x − μ with 0 for what is missing)."""
        params, scaled = prepared.params, prepared.scaled
        y = x - params.means[:, None]
        if there is None:
            latent = prepared.complete
            return latent.covariance[0] @ (scaled.T @ y), latent, y
        y *= there
        d, q = scaled.shape
        products = (params.loadings[:, :, None] * scaled[:, None, :]).reshape(d, -1)
        latent = conditional((there.T @ products).reshape(-1, q, q))
        return np.einsum("nij,jn->in", latent.covariance, scaled.T @ y), latent, y

    def _shared(self, noise: Array, counts: Array) -> Array:
        """What columns with so many values have in common, if they have."""
        if isinstance(self.noise, Diagonal):
            return noise
        return np.full_like(noise, counts @ noise / counts.sum())
