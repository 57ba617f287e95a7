"""A climb that is ended from outside keeps the best it has; it needs no engine for that."""

from typing import Any

import numpy as np
import pytest

from dem.climb import Climb, Sweep
from dem.families import Full, Gaussian
from dem.models.mixture import Mixture
from dem.passes import Block
from dem.records import Begin, Fit, Interrupted, Turn
from dem.starts import KMeansPlusPlus

X = np.random.default_rng(0).normal(size=(200, 2))
CLIMB = Climb(Mixture(2, Gaussian(Full())), KMeansPlusPlus(), max_iter=3, tol=0.0, n_init=2)


def computed(sweep: Sweep) -> tuple[Any, ...]:
    return tuple(sweep.work(sweep.work.prepare(), Block(0, 0, X, None)) for _ in sweep.groups)


def ended(when: Any, exception: type[BaseException]) -> Fit:
    """The fit that is left if the exception comes at the announcement that satisfies `when`."""
    requests = CLIMB.run(np.array([0, len(X)]), X.shape[1])
    answer = None
    try:
        while True:
            request = requests.send(answer)
            answer = computed(request) if isinstance(request, Sweep) else None
            if when(request):
                requests.throw(exception())
    except StopIteration as end:
        return end.value


def in_turn(attempt: int, turn: int) -> Any:
    return lambda request: (
        isinstance(request, Turn)
        and request.state.attempt == attempt
        and request.record.turn == turn
    )


@pytest.fixture(params=[Interrupted, KeyboardInterrupt])
def exception(request: pytest.FixtureRequest) -> type[BaseException]:
    return request.param


def test_before_the_first_turn_there_is_nothing(exception: type[BaseException]) -> None:
    with pytest.raises(exception):
        ended(lambda request: isinstance(request, Begin), exception)


@pytest.mark.parametrize("turn", [1, 2])
def test_during_the_first_start(turn: int, exception: type[BaseException]) -> None:
    fitted = ended(in_turn(0, turn), exception)
    assert fitted.interrupted
    assert len(fitted.history) == turn


def test_before_the_first_turn_of_the_second_start(exception: type[BaseException]) -> None:
    fitted = ended(lambda r: isinstance(r, Begin) and r.state.attempt == 1, exception)
    assert fitted.interrupted
    assert len(fitted.history) == 3


def test_during_the_second_start_the_better_one_is_kept(exception: type[BaseException]) -> None:
    whole = ended(lambda request: False, exception)
    assert not whole.interrupted
    first = ended(lambda r: isinstance(r, Begin) and r.state.attempt == 1, exception)
    fitted = ended(in_turn(1, 1), exception)
    assert fitted.interrupted
    assert fitted.lower_bound >= first.lower_bound
    assert whole.lower_bound >= first.lower_bound
