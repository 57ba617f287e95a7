"""Loops that NumPy has no call for, compiled by Numba to machine code that needs no Python lock.

`compiled` is the way to say it: no `fastmath`, so that every operation is the one that is written,
in its order, and NaN stays NaN; machine code is kept on disk where that is possible. What such
loops call for each number is `inlined`; `summing` is for sums, which in their order are slow.
Arrays that one vector instruction after another goes over should be of one dtype throughout: a
Python float among float32 makes float64 of them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, ldexp
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call for each combination of argument types.

    The machine code is kept beside the source or in the user's cache directory (Numba's setting
    NUMBA_CACHE_DIR); where neither can be written each process compiles for itself.
    """
    try:
        return njit(function, cache=True, **OPTIONS)
    except RuntimeError:  # there is no such place
        return njit(function, **OPTIONS)


def inlined(function: Callable[..., Any]) -> Any:
    """The function as part of the compiled loops that call it, which can then be vectorised."""
    return njit(function, forceinline=True, **OPTIONS)


def summing(function: Callable[..., Any]) -> Any:
    """As `inlined`, where sums of many numbers may be made in any order: in lanes of a vector."""
    return njit(function, forceinline=True, fastmath={"reassoc"}, **OPTIONS)


def contiguous(array: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """The array as compiled code takes it, so that it isn't compiled anew for views or others'."""
    return np.require(array, dtype, ["C", "W"])


def exp(x: Any) -> Any:
    """e^x for a number in compiled code, without a branch, so that loops of it are vectorised.

    For float64 above −708 and below 709, or float32 above −87 and below 88, to the last digit or
    two; NaN stays. e^x = 2^k e^r with k the nearest integer to x / log 2, and |r| ≤ ½ log 2, where
    a Taylor polynomial is enough.
    """
    raise NotImplementedError("for compiled code only")


def log(x: Any) -> Any:
    """The natural logarithm of a float64 in compiled code, without a branch, as `exp`.

    To the last digit for normal numbers (from 2.3e-308); −inf at 0, NaN below it, NaN and inf stay.
    log x = k log 2 + log(1 + f) with √½ ≤ 1 + f < √2, and log(1 + f) = 2 artanh(f / (2 + f)).
    """
    raise NotImplementedError("for compiled code only")


@overload(exp, jit_options=OPTIONS)
def _exp(x: Any) -> Any:
    return {types.float64: _exp_double, types.float32: _exp_single}.get(x)


@overload(log, jit_options=OPTIONS)
def _log(x: Any) -> Any:
    return {types.float64: _log_double}.get(x)


def _cast_bits(context: Any, x: Any) -> Any:
    """The bits of a float as an integer of its size, or the other way round."""
    pairs: Any = [(types.float64, types.int64), (types.float32, types.int32)]
    to = {**dict(pairs), **{b: a for a, b in pairs}}[x]

    def cast(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(to))

    return to(x), cast


_bits: Any = intrinsic(_cast_bits)

# Adding 1.5 · 2^p to a number far smaller leaves its nearest integer in the last of p bits. The
# logarithm of two is in two parts, of which the first times k is exact.
_PER_LOG2, _LOG2, _LOG2_REST = 1 / np.log(2), 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = ldexp(1.5, 52)
_T = tuple(1 / factorial(i) for i in range(14))
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = _T[2:]


def _exp_double(x: Any) -> Any:
    shifted = x * _PER_LOG2 + _ROUND
    k = shifted - _ROUND
    r = (x - k * _LOG2) - k * _LOG2_REST
    r2 = r * r
    r4 = r2 * r2
    first = ((1.0 + r) + r2 * (_T2 + r * _T3)) + r4 * ((_T4 + r * _T5) + r2 * (_T6 + r * _T7))
    rest = ((_T8 + r * _T9) + r2 * (_T10 + r * _T11)) + r4 * (_T12 + r * _T13)
    return (first + (r4 * r4) * rest) * _bits((_bits(shifted) + 1023) << 52)


_S = np.float32
_PER_LOG2_S, _LOG2_S, _LOG2_REST_S = _S(1 / np.log(2)), _S(0.693359375), _S(-2.12194440e-4)
_ROUND_S, _ONE_S, _BIAS_S, _PLACES_S = _S(ldexp(1.5, 23)), _S(1), np.int32(127), np.int32(23)
_S2, _S3, _S4, _S5, _S6, _S7 = (_S(t) for t in _T[2:8])


def _exp_single(x: Any) -> Any:
    shifted = x * _PER_LOG2_S + _ROUND_S
    k = shifted - _ROUND_S
    r = (x - k * _LOG2_S) - k * _LOG2_REST_S
    r2 = r * r
    first = (_ONE_S + r) + r2 * (_S2 + r * _S3)
    rest = (_S4 + r * _S5) + r2 * (_S6 + r * _S7)
    return (first + (r2 * r2) * rest) * _bits(np.int32((_bits(shifted) + _BIAS_S) << _PLACES_S))


_ROOT_HALF, _ONE = 0x3FE6A09E667F3BCD, 0x3FF0000000000000  # the bits of √½ and 1
_PLACES, _ROUND_BITS = (1 << 52) - 1, 0x4338000000000000  # the bits of `_ROUND`
# Of R(s²) in log(1 + f) = f − f²/2 + s (f²/2 + R), s = f / (2 + f): fdlibm's, good to 2^-58.
_L1, _L2, _L3 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01
_L4, _L5 = 2.222219843214978396e-01, 1.818357216161805012e-01
_L6, _L7 = 1.531383769920937332e-01, 1.479819860511658591e-01
_INF = np.inf


def _log_double(x: Any) -> Any:
    shifted = _bits(x) + (_ONE - _ROOT_HALF)
    k = _bits((shifted >> 52) - 1023 + _ROUND_BITS) - _ROUND
    f = _bits((shifted & _PLACES) + _ROOT_HALF) - 1.0
    s = f / (2.0 + f)
    z = s * s
    half, w = 0.5 * f * f, z * z
    rest = w * (_L2 + w * (_L4 + w * _L6)) + z * (_L1 + w * (_L3 + w * (_L5 + w * _L7)))
    value = k * _LOG2 - ((half - (s * (half + rest) + k * _LOG2_REST)) - f)
    value = value if x < _INF else x  # inf, NaN
    beyond = -_INF if x == 0.0 else _INF - _INF
    return beyond if x <= 0.0 else value
