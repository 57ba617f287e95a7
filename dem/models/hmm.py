"""Hidden Markov models: h is a chain of states, each of which makes a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dem.checks import check_number, check_offers
from dem.contract import Family, Posterior, Sample
from dem.errors import SupportError
from dem.families import Product
from dem.families.ignored import Ignored
from dem.kernels import chain
from dem.kernels.semirings import NEVER, MaxProduct, logarithms, summing
from dem.models.messages import Messages, Told
from dem.models.mixture import Mixture, MixtureParams
from dem.models.states import (
    Around,
    HMMParams,
    HMMPrepared,
    HMMSums,
    both_sides,
    densities,
    parted,
)
from dem.models.topology import Ergodic, Topology
from dem.models.transitions import LEAST, expected, likeliest, logits, nested, softmax, walked
from dem.stats import Stats

Array = np.ndarray
IMPOSSIBLE = "No states that may follow each other allow these rows: allow more transitions"


@dataclass(frozen=True)
class HMM:
    """p(v, h) = ∏ₜ A[hₜ₋₁, hₜ] p(vₜ | hₜ) with p(h₁) = π: chains of K states, rows of a family.

    The E-step goes forward and backward over each chain, and leaves expected numbers of first
    states and transitions and the sums of the family (Baum et al. 1970; Rabiner 1989). `Hard`
    takes the most probable path (Viterbi 1967). Weights are those of chains.

    Rows have one more last column: 1 where a chain begins, else 0; see `dem.sequences`. Chains
    may go on from block to block (`dem.relay`). Probabilities of first states and transitions stay
    above 1e-10, at the maximum of the likelihood under that, but for those that are 0 at the start.

    k : number of states.
    family : of the rows of a state, an object such as `Gaussian()`.
    topology : which transitions there may be.
    startprob_prior, transmat_prior : concentrations of Dirichlet priors, of π and of the rows of A;
        at least 1, which is none. A number for all, or one for each entry.
    """

    k: int
    family: Family
    topology: Topology = field(default_factory=Ergodic)
    startprob_prior: Any = 1.0
    transmat_prior: Any = 1.0

    def __post_init__(self) -> None:
        check_number("k", self.k, int, 1)
        check_offers("family", self.family, Family)
        check_offers("topology", self.topology, Topology)
        self.topology.starts(self.k), self.topology.transitions(self.k)
        for name, shape in (("startprob_prior", (self.k,)), ("transmat_prior", (self.k, self.k))):
            prior = np.asarray(getattr(self, name), dtype=float)
            if prior.shape not in ((), shape):
                raise ValueError(f"{name} must be a number or {shape}, got {prior.shape}.")
            if not (np.isfinite(prior) & (prior >= 1)).all():
                raise ValueError(f"{name} must be finite and at least 1.")
            object.__setattr__(self, name, nested(prior.tolist()))

    @property
    def missing(self) -> bool:
        """Whether NaN is a missing value to the family."""
        return getattr(self.family, "missing", False)

    def independent(self, n_columns: int) -> Mixture:
        """The mixture of the same states, whose rows do not depend on those before."""
        columns = tuple(range(n_columns - 1))
        return Mixture(self.k, Product(((self.family, columns), (Ignored(), (n_columns - 1,)))))

    def after(self, params: MixtureParams) -> HMMParams:
        """First parameters, from those of that mixture: states come by their shares."""
        shares = np.maximum(params.weights, LEAST)
        begin = np.where(self.topology.starts(self.k), shares, 0.0)
        follow = np.where(self.topology.transitions(self.k), shares, 0.0)
        return HMMParams(
            begin / begin.sum(),
            follow / follow.sum(axis=1, keepdims=True),
            params.components.parts[0],
        )

    def start(self, sample: Sample, rng: np.random.Generator) -> HMMParams:
        return self.after(self.independent(sample.rows.shape[1]).start(sample, rng))

    def prepare(self, params: HMMParams) -> HMMPrepared:
        emissions = self.family.prepare(params.components, np.zeros(self.k))
        logs = logarithms(params.startprob), logarithms(params.transmat)
        return HMMPrepared(emissions, summing(params.startprob, params.transmat), MaxProduct(*logs))

    def e_step(
        self,
        prepared: HMMPrepared,
        rows: Array,
        weights: Array | None,
        posterior: Posterior,
        told: Around | None = None,
    ) -> Stats:
        n, (values, new) = len(rows), parted(rows, weights, told)
        first, pairs = np.zeros(self.k), np.zeros((self.k, self.k))
        states, entropy = np.zeros((self.k, 0)), 0.0
        if n:
            density, _ = densities(self.family, prepared, values)
            ring = prepared.ring(posterior)
            sides = both_sides(ring, told)
            if isinstance(ring, MaxProduct):
                first, pairs, states = _path(ring, density, new, weights, *sides)
            else:
                found = chain.smooth(prepared.sums, density, new, weights, *sides)
                if found.least < NEVER / 2:
                    raise SupportError(IMPOSSIBLE, float(rows[0, 0]), 0, 0)
                first, pairs, states, entropy = (
                    found.first, found.pairs, found.states, found.entropy
                )  # fmt: skip
        tiles = self.family.tiles(prepared.emissions, values, weights)
        for here, _, responsibilities in tiles:
            responsibilities[...] = states[:, here]
            tiles.add(responsibilities)
        weight = float(n if weights is None else weights.sum())
        return Stats(weight, entropy, HMMSums(first, pairs, tiles.sums()))

    def message(
        self,
        prepared: HMMPrepared,
        rows: Array,
        weights: Array | None,
        posterior: Posterior,
        index: int,
    ) -> Messages:
        """What a block of chains says to the others: see `dem.models.messages`."""
        ring = prepared.ring(posterior)
        free = ring.free(1)[:, 0]
        values, new = parted(rows, weights, (free if index else None, free))
        begins = np.flatnonzero(new)
        first, last = (begins[0], begins[-1]) if len(begins) else (len(rows), len(rows))
        through, left = (
            chain.whole(ring, densities(self.family, prepared, part)[0], fresh)
            for part, fresh in ((values[:first], False), (values[last:], True))
        )
        ends = np.ones(2) if weights is None or not len(rows) else weights[[0, -1]]
        return Messages(
            np.array([index]),
            through[None],
            left[:1],
            np.array([len(begins) > 0]),
            np.array([first == 0]),
            ends[None],
        )

    def told(self, params: HMMParams, messages: Messages, posterior: Posterior) -> Told | None:
        """What comes into each block from both sides; None if all begin with a chain.

        Raises `DataError` where the weight changes between blocks within a chain.
        """
        messages.check_weights()
        return None if messages.apart else messages.told(self.prepare(params).ring(posterior))

    def m_step(self, params: HMMParams, stats: Stats) -> HMMParams:
        sums = stats.sums
        return HMMParams(
            likeliest(params.startprob, sums.starts, self.startprob_prior),
            likeliest(params.transmat, sums.transitions, self.transmat_prior),
            self.family.maximise(params.components, sums.emissions),
        )

    def expected_log_joint(self, params: HMMParams, stats: Stats) -> float:
        sums = stats.sums
        chains = expected(params.startprob, sums.starts, self.startprob_prior)
        chains += expected(params.transmat, sums.transitions, self.transmat_prior)
        return chains + self.family.expected_log_density(params.components, sums.emissions)

    def log_prob(self, prepared: HMMPrepared, rows: Array, told: Around | None = None) -> Array:
        """log p(row | those before it in its chain), (n,)."""
        values, new = parted(rows, None, told)
        if not len(rows):
            return np.empty(0)
        density, constant = densities(self.family, prepared, values)
        before, _ = both_sides(prepared.sums, told)
        return constant + chain.predicted(prepared.sums, density, new, before)

    def posterior(self, prepared: HMMPrepared, rows: Array, told: Around | None = None) -> Array:
        """p(state | all rows of its chain), (n, K)."""
        values, new = parted(rows, None, told)
        sides = both_sides(prepared.sums, told)
        density, _ = densities(self.family, prepared, values)
        return chain.smooth(prepared.sums, density, new, None, *sides).states.T

    def decode(self, prepared: HMMPrepared, rows: Array, told: Around | None = None) -> Array:
        """The states (n,) of the most probable path of each chain."""
        values, new = parted(rows, None, told)
        sides = both_sides(prepared.best, told)
        return chain.best(prepared.best, densities(self.family, prepared, values)[0], new, *sides)

    def flatten(self, params: HMMParams) -> Array:
        """Logarithms of probabilities that are not 0, centred, and the family's parameters."""
        family: Any = self.family
        chains = logits(params.startprob), logits(params.transmat).ravel()
        return np.concatenate([*chains, family.flatten(params.components)])

    def unflatten(self, vector: Array, like: HMMParams) -> HMMParams:
        begin, follow, rest = np.split(vector, [self.k, self.k + self.k**2])
        family: Any = self.family
        return HMMParams(
            softmax(begin, like.startprob),
            softmax(follow.reshape(self.k, self.k), like.transmat),
            family.unflatten(rest, like.components),
        )

    def check(self, params: HMMParams) -> None:
        """Raise ValueError unless params have the shapes and signs that this model's have."""
        for name, shape in (("startprob", (self.k,)), ("transmat", (self.k, self.k))):
            array = getattr(params, name)
            if array.shape != shape or not (array >= 0).all():
                raise ValueError(f"{name} must be {shape} and non-negative")
            if not (abs(array.sum(axis=-1) - 1) <= 1e-6).all():
                raise ValueError(f"{name} must sum to 1")
        self.family.check(params.components, self.k)

    def diagnose(self, params: HMMParams) -> tuple[str, ...]:
        """What is wrong with states that no chain enters, or that the family complains of."""
        entered = np.where(np.eye(self.k) > 0, 0.0, params.transmat).max(axis=0, initial=0.0)
        lost = np.flatnonzero(np.maximum(entered, params.startprob) <= 2 * LEAST).tolist()
        ours = (f"no chain enters the states {lost}. Use fewer, or another start.",)
        return ours[: bool(lost)] + self.family.diagnose(params.components)

    def n_parameters(self, params: HMMParams) -> int:
        free = (params.startprob > 0).sum() - 1 + (params.transmat > 0).sum() - self.k
        return int(free) + self.family.n_parameters(params.components)

    def sample(
        self, params: HMMParams, n: int, rng: np.random.Generator, first: int | None = None
    ) -> tuple[Array, Array]:
        """n rows of one chain, (n, D), and their states, (n,); first: the state it begins in."""
        new = np.arange(n) == 0
        return self._drawn(params, new, rng, first)

    def resembling(self, params: HMMParams, rows: Array, rng: np.random.Generator) -> Array:
        """Random rows of chains that begin where those of rows (n, D + 1) do."""
        _, new = parted(rows, None, None)
        values, _ = self._drawn(params, new, rng, None)
        return np.column_stack([values, rows[:, -1]])

    def _drawn(
        self, params: HMMParams, new: Array, rng: np.random.Generator, first: int | None
    ) -> tuple[Array, Array]:
        states = walked(params.startprob, params.transmat, new, rng, first)
        counts = np.bincount(states, minlength=self.k)
        stacked = self.family.sample(params.components, counts, rng)
        rows = np.empty_like(stacked)
        rows[np.argsort(states, kind="stable")] = stacked
        return rows, states


def _path(
    ring: MaxProduct, density: Array, new: Array, weights: Array | None, before: Array,
    after: Array,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """First states (K,), transitions (K, K) and states (K, n) of the most probable path."""
    path = chain.best(ring, density, new, before, after)
    k, n = density.shape
    w = np.ones(n) if weights is None else weights
    states = np.where(path == np.arange(k)[:, None], w, 0.0)
    earlier = np.concatenate([[before.argmax()], path[:-1]])
    pairs = np.bincount((earlier * k + path)[~new], w[~new], k * k).reshape(k, k)
    first = states[:, new].sum(axis=1)
    steps = np.where(new, ring.start[path], ring.transitions[earlier, path])
    if (np.minimum(steps, density[path, np.arange(n)]) < NEVER / 2).any():
        raise SupportError(IMPOSSIBLE, 0.0, 0, 0)
    return first, pairs, states
