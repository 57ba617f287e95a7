"""Colours as the eye sees them: sRGB to and from Oklab (Björn Ottosson 2020).

Equal distances in Oklab look about equally large, so a Gaussian there is a cloud of like colours.
"""

import numpy as np

Array = np.ndarray

_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_oklab(rgb: Array) -> Array:
    """8-bit sRGB (..., 3) as lightness and two opponent colours, float64 (..., 3)."""
    c = rgb / 255
    light = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return np.cbrt(light @ _LMS.T) @ _LAB.T


def to_srgb(lab: Array) -> Array:
    """The nearest 8-bit sRGB colours (..., 3) of Oklab colours (..., 3)."""
    light = (lab @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_LMS).T
    light = np.clip(light, 0, 1)
    c = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * c).astype(np.uint8)
