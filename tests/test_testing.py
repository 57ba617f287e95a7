"""Every law must be able to fail: each finds the fault that was made for it."""

from typing import Any

import numpy as np
import pytest

from broken import FAULTS, Boastful, Broken
from dem.families import Diagonal, Full, Gaussian
from dem.models.mixture import Mixture
from dem.posteriors import Exact, Hard
from dem.testing import LAWS, Case, check_model

RNG = np.random.default_rng(3)
X = RNG.normal(size=(240, 2)) + 3.0 * RNG.integers(0, 2, (240, 1))
WEIGHTS = RNG.gamma(2.0, size=240)
SOUND = Mixture(2, Gaussian(Diagonal()))


def case(model: Any, posteriors: tuple[Any, ...] = (Exact(), Hard())) -> Case:
    # Copies, since some of the models write into what they are given.
    return Case(model, X.copy(), WEIGHTS.copy(), posteriors=posteriors)


@pytest.mark.parametrize("law", LAWS)
def test_a_sound_model_obeys(law: str) -> None:
    LAWS[law](case(SOUND))


@pytest.mark.parametrize(
    ("law", "faults"), [pytest.param(law, f, id=f"{law}: {what}") for law, what, f in FAULTS]
)
def test_a_fault_is_found(law: str, faults: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=f"law '{law}'"):
        LAWS[law](case(Broken(SOUND, faults)))


def test_a_posterior_that_boasts_is_found() -> None:
    with pytest.raises(AssertionError, match="law 'lower': under Boastful"):
        LAWS["lower"](case(SOUND, (Exact(), Boastful())))


def test_an_m_step_that_only_improves_breaks_one_law() -> None:
    """And with that law skipped the model passes."""
    faults = next(faults for _, what, faults in FAULTS if what == "m_step damped")
    with pytest.raises(AssertionError, match="law 'maximiser'") as caught:
        check_model(Broken(SOUND, faults), X, posteriors=[Exact()])
    assert str(caught.value).count("law '") == 1
    check_model(Broken(SOUND, faults), X, posteriors=[Exact()], skip=["maximiser"])


def test_every_law_is_shown_to_fail() -> None:
    assert {law for law, _, _ in FAULTS} | {"lower"} == set(LAWS)


def test_the_message_names_every_law_the_model_and_by_how_much() -> None:
    faults = next(faults for _, what, faults in FAULTS if what == "entropy too small")
    with pytest.raises(AssertionError) as caught:
        check_model(Broken(SOUND, faults), X, weights=WEIGHTS)
    message = str(caught.value)
    assert message.startswith("Broken(")
    assert "breaks laws:\nlaw 'tight': under Exact() at parameters 0: bound and" in message
    assert "differ by" in message


def test_an_exception_in_the_model_says_under_which_law() -> None:
    def raising(*given: Any) -> Any:
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model") as caught:
        check_model(Broken(SOUND, {"expected_log_joint": raising}), X)
    assert "While checking the law 'tight' on Broken" in caught.value.__notes__[0]


def test_given_parameters_are_where_it_begins() -> None:
    params = case(SOUND).params
    check_model(SOUND, X, params=params, weights=WEIGHTS, turns=2)
    assert Case(SOUND, X, given=params).climb(Exact())[0].turn == 1
    assert Case(SOUND, X, given=params).params is params


@pytest.mark.parametrize("rows", [X[:, 0], X[:3]], ids=["one column", "three rows"])
def test_rows_of_the_wrong_shape(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected rows \(n, D\) with n at least 4"):
        check_model(SOUND, rows)


def test_other_arguments_that_are_wrong() -> None:
    with pytest.raises(ValueError, match=r"Expected \(240,\) weights, got \(7,\)"):
        check_model(SOUND, X, weights=np.ones(7))
    with pytest.raises(ValueError, match=r"No such law: \['tigt'\]"):
        check_model(SOUND, X, skip=["tigt"])


def test_integer_and_float32_rows() -> None:
    check_model(Mixture(2, Gaussian(Full())), np.round(3 * X).astype(np.int16), weights=WEIGHTS)
    check_model(Mixture(2, Gaussian(Full())), X.astype(np.float32), rtol=1e-6)  # multiplied so
