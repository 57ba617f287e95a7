"""Models with one fault each, and the law that must find it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from dem.posteriors import Hard
from dem.stats import Stats, Vector


@dataclass(frozen=True)
class Broken:
    """A model with some methods replaced by functions that take the sound model first."""

    model: Any
    faults: dict[str, Callable[..., Any]]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("model", "faults"):
            raise AttributeError(name)
        if name not in self.faults:
            return getattr(self.model, name)
        return lambda *given: self.faults[name](self.model, *given)


@dataclass(frozen=True)
class Boastful(Hard):
    """A hard posterior that claims the entropy of an even one."""

    def respond(self, log_joint: Any, out: Any, weights: Any) -> float:
        super().respond(log_joint, out, weights)
        return float(out.sum() * np.log(len(out)))


@dataclass(frozen=True, eq=False)
class Kept(Vector):
    """Sums that keep the rows they were made of."""

    sums: Any
    rows: Any

    def __add__(self, other: "Kept") -> "Kept":
        return Kept(self.sums + other.sums, np.concatenate([self.rows, other.rows]))

    def __mul__(self, factor: float) -> "Kept":
        return Kept(self.sums * factor, self.rows)


@dataclass(frozen=True)
class Averaged(Stats):
    """Statistics whose + takes the mean of the entropies."""

    def __add__(self, other: Stats) -> "Averaged":
        total = Stats(self.weight, self.entropy, self.sums) + other
        return Averaged(total.weight, total.entropy / 2, total.sums)


@dataclass(frozen=True)
class HalfScaled(Stats):
    """Statistics whose weight does not scale."""

    def __mul__(self, factor: float) -> "HalfScaled":
        return replace(super().__mul__(factor), weight=self.weight)


@dataclass(frozen=True)
class Named:
    """Parameters with something inside that is no array."""

    weights: Any
    components: Any
    note: Any = "ours"


NOISE = np.random.default_rng()
TURN = count()


def entropy_too_small(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    return replace(stats, entropy=0.9 * stats.entropy)


def log_prob_shifted(model, prepared, rows):
    return model.log_prob(prepared, rows) + 1e-6


def log_prob_as_column(model, prepared, rows):
    return model.log_prob(prepared, rows)[:, None]


def joint_without_weights(model, params, stats):
    return model.expected_log_joint(replace(params, weights=np.ones(2)), stats)


def _means(params, means):
    return replace(params, components=replace(params.components, means=means))


def m_step_overshoots(model, params, stats):
    new = model.m_step(params, stats)
    return _means(new, 4 * new.components.means - 3 * params.components.means)


def m_step_damped(model, params, stats):
    """Only improves, so that it breaks the law of the maximiser and no other."""
    new = model.m_step(params, stats)
    return _means(new, (new.components.means + params.components.means) / 2)


def m_step_smooths_the_weights(model, params, stats):
    new = model.m_step(params, stats)
    return replace(new, weights=0.9 * new.weights + 0.05)


def drops_a_row(model, prepared, rows, weights, posterior):
    weights = None if weights is None else weights[:-1]
    return model.e_step(prepared, rows[:-1], weights, posterior)


def invents_a_row(model, prepared, rows, weights, posterior):
    rows = np.concatenate([rows, np.zeros((1, rows.shape[1]))])
    weights = None if weights is None else np.append(weights, 1.0)
    return model.e_step(prepared, rows, weights, posterior)


def counts_wrongly(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    return replace(stats, weight=float(len(rows)) + 1.0)


def sums_that_average(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    return Averaged(stats.weight, stats.entropy, stats.sums)


def sums_that_scale_in_part(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    return HalfScaled(stats.weight, stats.entropy, stats.sums)


def joint_not_linear(model, params, stats):
    return model.expected_log_joint(params, stats) - 1e-4 * stats.weight**2


def ignores_weights(model, prepared, rows, weights, posterior):
    return model.e_step(prepared, rows, None, posterior)


def weights_squared(model, prepared, rows, weights, posterior):
    squares = None if weights is None else weights**2
    return model.e_step(prepared, rows, squares, posterior)


def weights_of_zero_count(model, prepared, rows, weights, posterior):
    least = None if weights is None else np.maximum(weights, 1e-3)
    return model.e_step(prepared, rows, least, posterior)


def later_rows_count_less(model, prepared, rows, weights, posterior):
    weights = (np.ones(len(rows)) if weights is None else weights) / (1.0 + np.arange(len(rows)))
    return model.e_step(prepared, rows, weights, posterior)


def stops_at_the_200th_row(model, prepared, rows, weights, posterior):
    weights = None if weights is None else weights[:200]
    return model.e_step(prepared, rows[:200], weights, posterior)


def subtracts_the_mean_of_the_block(model, prepared, rows, weights, posterior):
    if len(rows):
        rows = rows - 1e-3 * rows.mean(axis=0)
    return model.e_step(prepared, rows, weights, posterior)


def noise_in_the_last_digits(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    return stats * (1.0 + 1e-13 * NOISE.random())


def keeps_rows(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    return replace(stats, sums=Kept(stats.sums, rows))


def without_the_rows(model, params, stats):
    return model.m_step(params, replace(stats, sums=stats.sums.sums))


def joint_without_the_rows(model, params, stats):
    return model.expected_log_joint(params, replace(stats, sums=stats.sums.sums))


def m_step_in_place(model, params, stats):
    new = model.m_step(params, stats)
    params.weights[:] = new.weights
    return new


def writes_to_the_rows(model, prepared, rows, weights, posterior):
    stats = model.e_step(prepared, rows, weights, posterior)
    rows *= 0.5
    return stats


def counts_its_calls(model, params, stats):
    return model.expected_log_joint(params, stats) + 1e-12 * next(TURN)


def params_with_a_string(model, params, stats):
    new = model.m_step(params, stats)
    return Named(new.weights, new.components)


def params_with_objects(model, params, stats):
    new = model.m_step(params, stats)
    return replace(new, weights=np.array(new.weights, dtype=object))


# (law, what is wrong, the methods that are replaced)
FAULTS: list[tuple[str, str, dict[str, Callable[..., Any]]]] = [
    ("tight", "entropy too small", {"e_step": entropy_too_small}),
    ("tight", "log_prob shifted", {"log_prob": log_prob_shifted}),
    ("tight", "log_prob as a column", {"log_prob": log_prob_as_column}),
    ("tight", "joint without mixing weights", {"expected_log_joint": joint_without_weights}),
    ("monotone", "m_step overshoots", {"m_step": m_step_overshoots}),
    ("maximiser", "m_step damped", {"m_step": m_step_damped}),
    ("maximiser", "m_step smooths the weights", {"m_step": m_step_smooths_the_weights}),
    ("additive", "drops a row", {"e_step": drops_a_row}),
    ("additive", "invents a row", {"e_step": invents_a_row}),
    ("additive", "counts wrongly", {"e_step": counts_wrongly}),
    ("additive", "averages", {"e_step": sums_that_average}),
    ("vector space", "averages", {"e_step": sums_that_average}),
    ("vector space", "scales in part", {"e_step": sums_that_scale_in_part}),
    ("vector space", "joint not linear", {"expected_log_joint": joint_not_linear}),
    ("weights", "ignores weights", {"e_step": ignores_weights}),
    ("weights", "weights squared", {"e_step": weights_squared}),
    ("weights", "weights of zero count", {"e_step": weights_of_zero_count}),
    ("permutation", "later rows count less", {"e_step": later_rows_count_less}),
    ("partition", "stops at the 200th row", {"e_step": stops_at_the_200th_row}),
    ("partition", "subtracts a block's mean", {"e_step": subtracts_the_mean_of_the_block}),
    ("bitwise", "noise in the last digits", {"e_step": noise_in_the_last_digits}),
    (
        "size",
        "keeps rows",
        {
            "e_step": keeps_rows,
            "m_step": without_the_rows,
            "expected_log_joint": joint_without_the_rows,
        },
    ),
    ("pure", "m_step in place", {"m_step": m_step_in_place}),
    ("pure", "writes to the rows", {"e_step": writes_to_the_rows}),
    ("pure", "noise in the last digits", {"e_step": noise_in_the_last_digits}),
    ("pure", "joint counts its calls", {"expected_log_joint": counts_its_calls}),
    ("round trip", "params with a string", {"m_step": params_with_a_string}),
    ("round trip", "params with objects", {"m_step": params_with_objects}),
]
