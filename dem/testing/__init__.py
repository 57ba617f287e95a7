"""The laws of `dem.contract.Model`, to be run on your own model: `check_model(model, rows)`.

| law | what must hold |
|---|---|
| tight | under the exact q the bound is the log-likelihood |
| lower | under any other q the bound is at most the log-likelihood |
| monotone | no half-step of the loop lowers the bound |
| maximiser | no other parameters have a larger expected_log_joint than those of m_step |
| additive | statistics of a ⧺ b are those of a plus those of b; those of no rows are zero |
| vector space | statistics add and scale like vectors, and expected_log_joint is linear in them |
| weights | an integer weight is the row so many times, weight 0 is no row |
| permutation | the order of the rows does not matter |
| partition | nor does how they are cut into blocks |
| bitwise | one thread, two and four give the same bytes |
| size | statistics do not grow with the rows |
| pure | nothing that a method is given is changed, and it answers the same twice |
| round trip | parameters come back from a store bit for bit |

Statistics and parameters are compared by what they do (expected_log_joint, m_step, log_prob)
rather than by their coordinates, since there may be several for the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from dem.contract import Model, Params, Posterior
from dem.engine.blas import one_blas_thread
from dem.posteriors import Exact, Hard
from dem.testing.bound import check_lower, check_maximiser, check_monotone, check_tight
from dem.testing.case import Case
from dem.testing.sums import (
    check_additive,
    check_partition,
    check_permutation,
    check_size,
    check_vector_space,
    check_weights,
)
from dem.testing.values import check_bitwise, check_pure, check_round_trip

__all__ = [
    "LAWS",
    "Case",
    "check_additive",
    "check_bitwise",
    "check_lower",
    "check_maximiser",
    "check_model",
    "check_monotone",
    "check_partition",
    "check_permutation",
    "check_pure",
    "check_round_trip",
    "check_size",
    "check_tight",
    "check_vector_space",
    "check_weights",
]

LAWS: dict[str, Callable[[Case], None]] = {
    "tight": check_tight,
    "lower": check_lower,
    "monotone": check_monotone,
    "maximiser": check_maximiser,
    "additive": check_additive,
    "vector space": check_vector_space,
    "weights": check_weights,
    "permutation": check_permutation,
    "partition": check_partition,
    "bitwise": check_bitwise,
    "size": check_size,
    "pure": check_pure,
    "round trip": check_round_trip,
}


def check_model(
    model: Model,
    rows: Any,
    *,
    weights: Any = None,
    params: Params = None,
    posteriors: Sequence[Posterior] = (Exact(), Hard()),
    turns: int = 4,
    seed: int = 0,
    rtol: float = 1e-9,
    skip: Collection[str] = (),
) -> None:
    """Run every law on a model and some rows.

    rows : (n, D), a few hundred that are like the data; n at least 4.
    weights : (n,) or None. They should not be whole numbers alone, to test more.
    params : where to begin; None lets the model's own `start` decide.
    posteriors : those that the model is for.
    turns : of the loop, in the laws about whole fits.
    seed : of all that is random here.
    rtol : what rounding may do, as a share of the mean of 1 + |log p(v; θ)| per row. Gaussians
        multiply rows in float32 as such, and want 1e-6 for these.
    skip : names of laws that the model does not claim, such as "maximiser" for one whose M-step
        only improves.

    Raises AssertionError naming every law that is broken, what was compared, and by how much it
    failed; ValueError for a name in `skip` that is no law.
    """
    if unknown := set(skip) - set(LAWS):
        raise ValueError(f"No such law: {sorted(unknown)}. There are {list(LAWS)}.")
    case = Case(
        model,
        np.asarray(rows),
        None if weights is None else np.asarray(weights, dtype=float),
        given=params,
        posteriors=tuple(posteriors),
        turns=turns,
        seed=seed,
        rtol=rtol,
    )
    broken = []
    for name, check in LAWS.items():
        if name in skip:
            continue
        try:
            with one_blas_thread():  # as in the engine
                check(case)
        except AssertionError as error:
            broken.append(str(error))
        except Exception as error:
            error.add_note(f"While checking the law {name!r} on {model!r}.")
            raise
    if broken:
        raise AssertionError(f"{model!r} breaks laws:\n" + "\n".join(broken))
