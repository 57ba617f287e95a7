"""Scores s = ∂ log p(v; θ)/∂θ of rows, and Σ w s sᵀ, in one pass.

By Fisher's identity s = E_q[∂ log p(h, v; θ)/∂θ] under the exact q: for a mixture

    s = Σₖ q(k | v) ∂ log p(k, v; θ)/∂θ,

so that derivatives are taken of the components' log-densities. They are central differences over
1e-4 of a standard error of one row, exact to some 1e-8 of it; that works for any family, with
missing values too. Coordinates of different components share an evaluation, as coloured columns of
a sparse Jacobian do (Curtis, Powell and Reid 1974): for K components the price of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dem.contract import Model, Params
from dem.models.mixture import Mixture
from dem.passes import Block
from dem.posteriors import Exact
from dem.stats import Vector
from dem.wrap import Frozen

Array = np.ndarray
FIRST = 1e-5
STEP = 1e-4
SHORTEST = 1e-9
NUMBERS = 2**20  # of the scores that are held at a time


@dataclass(frozen=True, eq=False)
class ScoreSums(Vector):
    """Σ w, Σ w s (P,) and Σ w s sᵀ (P, P)."""

    weight: float
    gradient: Array
    information: Array


@dataclass(frozen=True, eq=False)
class Directions:
    """Coordinates of `flatten`, how far to go along each, and which go together.

    scales : (P,), coordinates are measured in these: about what one row tells of each.
    moves : (P, K) bool, the log-densities of which components each coordinate moves.
    colours : groups of coordinates no two of which move the same component.
    """

    scales: Array
    moves: Array
    colours: tuple[tuple[int, ...], ...]

    @property
    def steps(self) -> Array:
        return STEP * self.scales


def bare(model: Any) -> Any:
    """The model inside of a `Frozen` one, and so on."""
    while isinstance(model, Frozen):
        model = model.model
    return model


def log_joint(model: Any, prepared: Any, rows: Array) -> Array:
    """log p(k, v; θ) of each component, (K, n); or of a model without any log p(v; θ), (1, n)."""
    if isinstance(bare(model), Mixture):
        tiles, out = model.family.tiles(prepared, rows, None), np.empty((model.k, len(rows)))
        for here, log_densities, _ in tiles:
            out[:, here] = log_densities + tiles.constant()
        return out
    log_prob = model.log_prob(prepared, rows)
    if not hasattr(model, "posterior"):
        return np.asarray(log_prob[None])
    with np.errstate(divide="ignore"):
        return np.asarray(log_prob + np.log(model.posterior(prepared, rows).T))


def differences(model: Any, pair: tuple[Any, Any], rows: Array, responsibilities: Array) -> Array:
    """What a pair of prepared θ differ by in their log-joints (K, n); 0 where q(k | v) is."""
    ahead, behind = (log_joint(model, prepared, rows) for prepared in pair)
    with np.errstate(invalid="ignore"):
        ahead -= behind
    ahead[responsibilities <= 0] = 0.0
    return ahead


def respond(log_joints: Array) -> Array:
    """The exact q, (K, n)."""
    q = np.empty_like(log_joints)
    Exact().respond(log_joints.copy(), q, None)
    q[np.isneginf(log_joints)] = 0.0
    return q


def moved(model: Any, params: Params, flat: Array, steps: Array) -> tuple[Any, Any]:
    """θ ± steps, prepared."""
    points = (model.unflatten(flat + sign * steps, params) for sign in (1.0, -1.0))
    ahead, behind = (model.prepare(point) for point in points)
    return ahead, behind


def directions(model: Any, params: Params, rows: Array, weights: Array) -> Directions:
    """How to differentiate, from some rows of the data."""
    flat = model.flatten(params)
    base = log_joint(model, model.prepare(params), rows)
    q = respond(base)
    # Of a component that hardly any of these rows are of, all of them are to say how far.
    share = (q + 1e-6) * weights
    share /= share.sum(axis=1, keepdims=True)
    first, each = _mixing(model), np.ones_like(q)
    moves, lengths = np.zeros((len(flat), len(base)), bool), np.zeros((len(flat), len(base)))

    def along(steps: Array) -> Array:
        d = differences(model, moved(model, params, flat, steps), rows, each)
        d[~np.isfinite(d)] = 0.0
        return d

    for j, step in enumerate(FIRST * np.eye(len(flat))[first:], first):
        d = along(step)
        moves[j] = (np.abs(d) > 1e-12 * (1.0 + np.abs(np.nan_to_num(base)))).any(axis=1)
        lengths[j] = np.sqrt((share * d**2).sum(axis=1)) / (2 * FIRST)
    scales, colours = _scales(lengths), _colours(moves, first)
    for colour in map(list, colours):  # as that may have been far too far
        step = np.zeros(len(flat))
        step[colour] = FIRST * scales[colour]
        found = np.sqrt((share * along(step) ** 2).sum(axis=1))
        lengths[colour] = moves[colour] * found / (2 * step[colour, None])
    return Directions(_scales(lengths), moves, colours)


def _scales(lengths: Array) -> Array:
    """From the root mean squares of derivatives by each coordinate (P, K)."""
    most = lengths.max(axis=1)
    return np.clip(1.0 / np.where(most > 0, most, 1.0), SHORTEST, 1.0)


def _mixing(model: Any) -> int:
    """How many coordinates, the first, are log-weights of a mixture: q − π is their score."""
    return int(model.k) if isinstance(bare(model), Mixture) else 0


def _colours(moves: Array, first: int) -> tuple[tuple[int, ...], ...]:
    """Each coordinate from the first on with others, where they move different components.

    One that seems to move nothing is on its own: other rows may tell otherwise.
    """
    groups: list[list[int]] = []
    taken: list[Array] = []
    for j in range(first, len(moves)):
        own = moves[j] if moves[j].any() else np.ones(moves.shape[1], bool)
        place = next((i for i, t in enumerate(taken) if not (t & own).any()), len(groups))
        if place == len(groups):
            groups.append([])
            taken.append(np.zeros(moves.shape[1], bool))
        groups[place].append(j)
        taken[place] = taken[place] | own
    return tuple(map(tuple, groups))


@dataclass(frozen=True, eq=False)
class Scores:
    """A pass over the data for `ScoreSums`, of coordinates in units of their scales."""

    model: Model
    params: Params
    directions: Directions
    description: ClassVar[str] = "summing up scores"

    @property
    def missing(self) -> bool:
        return getattr(self.model, "missing", False)

    def prepare(self) -> Any:
        model: Any = self.model
        flat = model.flatten(self.params)
        pairs = []
        for colour in self.directions.colours:
            steps = np.zeros(len(flat))
            steps[list(colour)] = self.directions.steps[list(colour)]
            pairs.append(moved(model, self.params, flat, steps))
        return model.prepare(self.params), pairs

    def __call__(self, prepared: Any, block: Block) -> ScoreSums:
        p, masses = len(self.directions.scales), block.masses
        weight, gradient, information = 0.0, np.zeros(p), np.zeros((p, p))
        size = int(np.clip(NUMBERS // p, 64, 4096))
        for start in range(0, len(block.rows), size):
            here = slice(start, start + size)
            s, w = self.of(prepared, block.rows[here]), masses[here]
            weight += float(w.sum())
            gradient += s @ w
            s *= np.sqrt(w)
            information += s @ s.T  # NumPy does half of it, as it is symmetric
        return ScoreSums(weight, gradient, information)

    def of(self, prepared: Any, rows: Array) -> Array:
        """The scores of rows, (P, n)."""
        base, pairs = prepared
        model: Any = self.model
        q = respond(log_joint(model, base, rows))
        scores = np.zeros((len(self.directions.scales), len(rows)))
        if n := _mixing(model):
            weights: Any = self.params
            scores[:n] = q - weights.weights[:, None]
        for colour, pair in zip(self.directions.colours, pairs, strict=True):
            d = differences(model, pair, rows, q) * q
            for j in colour:
                own = self.directions.moves[j]
                scores[j] = d.sum(axis=0) if not own.any() or own.all() else d[own].sum(axis=0)
        scores[_mixing(model) :] /= 2 * STEP
        return scores
