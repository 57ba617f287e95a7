"""Moments about any centre are coordinates of one point."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dem.families.moments import Moments
from dem.kernels.normal import pairs
from mixtures import FORMS

shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 30))


def random_case(shape: tuple[int, int, int], seed: int) -> tuple[Any, ...]:
    k, d, n = shape
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.random((k, n)), *rng.normal(size=(3, k, d))


def direct(form: Any, x: np.ndarray, r: np.ndarray, centre: np.ndarray) -> Moments:
    """The sums by their definition."""
    first = np.stack([(x - c).T @ rk for c, rk in zip(centre, r, strict=True)])
    scatter = np.stack(
        [np.einsum("n,ni,nj->ij", rk, x - c, x - c) for c, rk in zip(centre, r, strict=True)]
    )
    upper = pairs(x.shape[1])
    second = {
        "full": lambda: scatter[:, *upper],
        "tied": lambda: scatter.sum(axis=0)[upper],
        "diag": lambda: np.einsum("kii->ki", scatter),
        "spherical": lambda: np.einsum("kii->k", scatter)[:, None],
    }[form.name]()
    return Moments(r.sum(axis=1), first, second, centre, form)


def same(a: Moments, b: Moments) -> None:
    for name in ("weight", "first", "second", "centre"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(shapes, st.integers(0, 2**32 - 1))
def test_moving_the_centre(form: Any, shape: tuple[int, int, int], seed: int) -> None:
    """about(c) are the direct sums about c, there and back, and by way of another centre."""
    x, r, a, b, c = random_case(shape, seed)
    here = direct(form, x, r, a)
    same(here.about(b), direct(form, x, r, b))
    same(here.about(b).about(a), here)
    same(here.about(c).about(b), here.about(b))
    assert here.about(a.copy()) is here


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(shapes, shapes, st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_moving_the_centre_is_linear(
    form: Any, shape: tuple[int, int, int], other: tuple[int, int, int], seed: int, factor: float
) -> None:
    x, r, a, b, c = random_case(shape, seed)
    y, q, *_ = random_case((*shape[:2], other[2]), seed + 1)
    u, v = direct(form, x, r, a), direct(form, y, q, b)
    same((u + factor * v).about(c), u.about(c) + factor * v.about(c))
    same((v + u).about(c), (u + v).about(c))
    same((u - v) + v, u)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(shapes, st.data())
def test_sums_of_rows_add_up(form: Any, shape: tuple[int, int, int], data: Any) -> None:
    """Also of parts that are held about different centres."""
    x, r, a, b, _ = random_case(shape, data.draw(st.integers(0, 2**32 - 1)))
    cut = data.draw(st.integers(0, len(x)))
    parts = direct(form, x[:cut], r[:, :cut], a) + direct(form, x[cut:], r[:, cut:], b)
    same(parts, direct(form, x, r, a))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_outer_is_what_is_summed(form: Any) -> None:
    """`outer` of one component, summed where the form pools, is the second moment."""
    x, r, a, *_ = random_case((3, 4, 20), 5)
    parts = [form.outer((x - c).T, rk) for c, rk in zip(a, r, strict=True)]
    second = np.sum(parts, axis=0) if form.pooled else np.stack(parts)
    np.testing.assert_allclose(second, direct(form, x, r, a).second, rtol=1e-12)


def test_exact_where_the_numbers_are() -> None:
    """Small integers: nothing is rounded, so the law holds to the last bit."""
    for form in FORMS.values():
        x = np.arange(12.0).reshape(6, 2)
        r, a, b = np.ones((1, 6)), np.array([[3.0, -2.0]]), np.array([[7.0, 5.0]])
        moved, there = direct(form, x, r, a).about(b), direct(form, x, r, b)
        for name in ("weight", "first", "second"):
            assert (getattr(moved, name) == getattr(there, name)).all()
        assert replace(moved, centre=a).about(a).first.tolist() == moved.first.tolist()
