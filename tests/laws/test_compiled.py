"""What is compiled: the exponential, and that code is made where none can be kept."""

from typing import Any

import numpy as np
import pytest

from dem.kernels.compiled import compiled, exp

Array = np.ndarray


@compiled
def exponentials(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = exp(x[i])


@pytest.mark.parametrize(("dtype", "ends"), [("float64", (-708, 709)), ("float32", (-87, 88))])
def test_the_exponential_is_right_to_two_digits_of_the_last_place(dtype: Any, ends: Any) -> None:
    """Any length, so that what is left over after whole vectors is tried too."""
    rng = np.random.default_rng(0)
    for n in (1, 7, 100_003):
        x = np.concatenate([rng.uniform(*ends, n), rng.normal(size=n), [0.0, *ends]]).astype(dtype)
        out = np.empty_like(x)
        exponentials(x, out)
        exact = np.exp(x.astype(np.longdouble))
        assert (np.abs(out - exact) <= 2 * np.finfo(dtype).eps * exact).all()
        assert out[-3] == 1.0
    exponentials(np.full(3, np.nan, dtype), out[:3])
    assert np.isnan(out[:3]).all()


def test_without_a_place_for_machine_code_it_is_made_anew() -> None:
    """Code that is in no file has none, as a file that is read-only in a home that is."""
    space: dict[str, Any] = {}
    exec("def double(x):\n    return 2 * x\n", space)
    double = compiled(space["double"])
    assert double(21) == 42
    assert not double.stats.cache_path
