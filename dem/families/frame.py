"""The affine frame in which a fit calculates: a fixed origin and scale per column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST = 1e-150  # squares of smaller numbers are lost


@dataclass(frozen=True, eq=False)
class Frame:
    """x = (v − origin) / scale, fixed for a whole fit so that sums add *and* subtract.

    Sums about a far origin cancel: the variance of data at 1e8 ± 1 has no digits left in E[x²].
    The scale is a power of two, so that dividing by it rounds nothing.

    origin, scale : (D,), float64, in the units of the data.
    """

    origin: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, weights: np.ndarray, *, uniform: bool = False) -> Frame:
        """The frame of a sample: rows (m, D) float64 with positive weights (m,).

        uniform : one scale for all columns (the largest), as a spherical covariance needs.
        A column without spread, or with one whose square underflows, keeps the scale 1.
        """
        share = weights / weights.sum()
        near = rows[0]  # a first guess, so that the mean of 1e8 ± 1 is taken over small numbers
        mean = near + share @ (rows - near)
        spread = np.sqrt(share @ (rows - mean) ** 2)
        if uniform:
            spread = np.full_like(spread, spread.max())
        # A spread at the level of rounding is no spread.
        constant = spread <= 8 * np.finfo(float).eps * np.abs(mean)
        scale = np.exp2(np.round(np.log2(np.where(constant, 1.0, spread))))
        # A round number near the mean does as well, and samples that differ by rounding share it.
        step = scale / 8
        with np.errstate(over="ignore"):
            origin = np.round(mean / step) * step
        return cls(np.where(np.isfinite(origin) & ~constant, origin, mean), scale)

    def check(self, d: int) -> None:
        """Raise ValueError unless it is one of d columns."""
        if self.origin.shape != (d,) or self.scale.shape != (d,):
            shapes = f"{self.origin.shape} and {self.scale.shape}"
            raise ValueError(f"origin and scale have the shapes {shapes}, not {(d,)}")
        if not (self.scale > 0).all():
            raise ValueError("scale must be positive")

    @property
    def log_volume(self) -> float:
        """log |det| of the scaling: what a log-density loses on the way to the user's units."""
        return float(np.log(self.scale).sum())

    @property
    def short(self) -> bool:
        """Whether its numbers are in the range of float32."""
        sizes = np.concatenate([np.abs(self.origin), self.scale, 1 / self.scale])
        return bool(sizes.max() < 1e30)

    @property
    def lost(self) -> np.ndarray:
        """Which columns (D,) have values so small that they had to be taken for constant."""
        return (self.scale == 1.0) & (self.origin != 0.0) & (np.abs(self.origin) < SMALLEST)

    def inward(self, points: np.ndarray) -> np.ndarray:
        """Points (..., D) in the user's units, in this frame."""
        return (points - self.origin) / self.scale

    def outward(self, points: np.ndarray) -> np.ndarray:
        """Points (..., D) of this frame, in the user's units."""
        return points * self.scale + self.origin
