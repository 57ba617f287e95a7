"""A model of your own: counts with more zeros than a Poisson distribution can explain.

A row is, with probability π, a structural zero (a machine that was off), else one Poisson count in
each column (Lambert 1992). The model below knows nothing of Dask, files or threads; the same object
is fitted to an array in memory, to Zarr on disk and to a Dask array, and on a cluster if there is
an active `distributed.Client`. Run with:  python zero_inflated_poisson.py
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import zarr
from scipy.special import gammaln, xlogy

import dem
from dem.contract import Posterior, Sample
from dem.fitting import Fit
from dem.stats import Stats
from dem.testing import check_model

Array = np.ndarray


# --- the model ------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Params:
    """π, the probability of a structural zero, and the rates λ (D,) of the others."""

    zero: float
    rates: Array


@dataclass(frozen=True)
class ZeroInflatedPoisson:
    """p(v) = π [v = 0] + (1 − π) ∏ Poisson(v_d; λ_d); h says which of the two a row is."""

    def start(self, sample: Sample, rng: np.random.Generator) -> Params:
        return Params(0.5, sample.weights @ sample.rows / sample.weights.sum() + 0.1)

    def prepare(self, params: Params) -> Params:
        return params

    def e_step(
        self, params: Params, rows: Array, weights: Array | None, posterior: Posterior
    ) -> Stats:
        log_joint = self._log_joint(params, rows)
        r = np.empty_like(log_joint)
        entropy = posterior.respond(log_joint, r, weights)
        # What the log-joint sees of the data: Σ r, and of the Poisson rows Σ r v and Σ r log v!
        sums = (r.sum(axis=1), r[1] @ rows, float(r[1] @ gammaln(rows + 1.0).sum(axis=1)))
        return Stats(float(r.sum()), entropy, sums)

    def m_step(self, params: Params, stats: Stats) -> Params:
        (zeros, others), total, _ = stats.sums
        rates = total / others if others > 0 else params.rates
        return Params(float(zeros / (zeros + others)), rates)

    def expected_log_joint(self, params: Params, stats: Stats) -> float:
        (zeros, others), total, log_factorials = stats.sums
        mixing = xlogy(zeros, params.zero) + xlogy(others, 1 - params.zero)
        poisson = xlogy(total, params.rates).sum() - others * params.rates.sum() - log_factorials
        return float(mixing + poisson)

    def log_prob(self, params: Params, rows: Array) -> Array:
        return np.logaddexp.reduce(self._log_joint(params, rows), axis=0)

    def n_parameters(self, params: Params) -> int:
        return 1 + len(params.rates)

    def _log_joint(self, params: Params, rows: Array) -> Array:
        """log p(h, v; θ) for the structural zero and the Poisson row, (2, n)."""
        with np.errstate(divide="ignore"):  # log 0 is −∞: what cannot be
            poisson = xlogy(rows, params.rates) - params.rates - gammaln(rows + 1.0)
            zero = np.where(rows.any(axis=1), -np.inf, np.log(params.zero))
            return np.stack([zero, np.log1p(-params.zero) + poisson.sum(axis=1)])


# --- some data, and three ways to hold them -------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Truth:
    """What the counts are drawn from."""

    zero: float = 0.3
    rates: Array = field(default_factory=lambda: np.array([0.3, 0.8, 1.2]))

    def draw(self, n: int, seed: int = 0) -> Array:
        rng = np.random.default_rng(seed)
        off = rng.random(n) < self.zero
        return np.where(off[:, None], 0, rng.poisson(self.rates, (n, len(self.rates))))


def main(n: int = 200_000) -> dict[str, Fit]:
    truth = Truth()
    counts, model = truth.draw(n), ZeroInflatedPoisson()
    check_model(model, counts[:500])
    print("The laws of EM hold for the model.")
    print(f"{'':<12}   zeros   rates                    bound per row   turns")
    print(f"{'truth':<12}   {truth.zero:.3f}   {truth.rates}")
    fits = {}
    with tempfile.TemporaryDirectory() as directory:
        stored = zarr.create_array(directory, data=counts, chunks=(n // 10, counts.shape[1]))
        data: dict[str, Any] = {
            "NumPy": counts,
            "Zarr": stored,
            "Dask": da.from_array(counts, chunks=(n // 7, -1)),
        }
        for name, rows in data.items():
            fitted = fits[name] = dem.fit(model, rows, tol=1e-8, max_iter=500)
            theta = fitted.params
            rates = np.array2string(theta.rates, precision=3)
            print(
                f"{name:<12}   {theta.zero:.3f}   {rates:<22}   "
                f"{fitted.lower_bound:13.6f}   {len(fitted.history):5d}"
            )
    return fits


if __name__ == "__main__":
    main()
