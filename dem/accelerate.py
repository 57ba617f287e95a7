"""Acceleration of the EM map θ → F(θ): a leap beyond F(θ), guessed from the last few turns.

A leap costs no read of the data: the next E-step is made there, and its bound tells whether it was
one too far. If so the loop goes back to F(θ), and nothing is lost but that E-step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dem.checks import check_all, check_number
from dem.contract import Model, Params

Array = np.ndarray
LONGEST_WAIT = 8
FAST = 0.5  # where steps shrink faster than that, EM needs no help


@dataclass(frozen=True, eq=False)
class Trail:
    """What an acceleration remembers of the turns before.

    points, images : θ and F(θ) of the last turns, as vectors, the newest last.
    wait : turns to go before the next leap.
    patience : how long to wait if that one is too far.
    """

    points: tuple[Array, ...] = ()
    images: tuple[Array, ...] = ()
    wait: int = 0
    patience: int = 1

    def __post_init__(self) -> None:
        check_number("wait", self.wait, int, 0)
        check_number("patience", self.patience, int, 1)
        check_all("points and images", (*self.points, *self.images), np.ndarray)
        if len(self.points) != len(self.images):
            raise ValueError("each point has an image")

    def after(self, landed: bool | None) -> Trail:
        """After a leap that landed or was too far, or a turn without one (None).

        One that was too far is a reason to forget what led to it, and to wait, longer each time.
        """
        if landed is None:
            return replace(self, wait=max(self.wait - 1, 0))
        if landed:
            return replace(self, patience=max(self.patience // 2, 1))
        return Trail(wait=self.patience, patience=min(2 * self.patience, LONGEST_WAIT))


@dataclass(frozen=True)
class Plain:
    """No acceleration: every turn begins where the M-step of the last one ended."""

    def leap(self, model: Model, params: Params, trail: None) -> Params:
        return params

    def follow(
        self, model: Model, trail: None, point: Params, image: Params, landed: bool | None
    ) -> None:
        return None


@dataclass(frozen=True)
class QuasiNewton:
    """A quasi-Newton step towards F(θ) = θ from secants (Zhou, Alexander and Lange 2011).

    With U the differences of the last points and V those of their images, the Jacobian of F is
    taken to be the least that has V = dF U, which gives θ' = F(θ) + V (UᵀU − UᵀV)⁻¹ Uᵀ(F(θ) − θ).
    θ is taken as the vector of `model.flatten`, which has no constraints.

    pairs : secants at most; when there are so many they are forgotten but for the last point.
    """

    pairs: int = 4

    def __post_init__(self) -> None:
        check_number("pairs", self.pairs, int, 1)

    def leap(self, model: Model, params: Params, trail: Trail | None) -> Params:
        """Where to make the next E-step: params themselves if there is no better guess."""
        if trail is None or trail.wait or len(trail.points) < 2:
            return params
        points, images = np.stack(trail.points), np.stack(trail.images)
        u, v = np.diff(points, axis=0), np.diff(images, axis=0)
        before, rest = (images - points)[-2:]
        if np.linalg.norm(rest) < FAST * np.linalg.norm(before):
            return params
        secants = u @ (u - v).T
        with np.errstate(all="ignore"):
            step = np.linalg.lstsq(secants, u @ rest, rcond=1e-12)[0] @ v
            target = images[-1] + step
            if not np.isfinite(target).all():
                return params
            try:
                return model.unflatten(target, params)  # type: ignore[attr-defined]
            except (ValueError, np.linalg.LinAlgError):  # beyond what numbers can hold
                return params

    def follow(
        self, model: Model, trail: Trail | None, point: Params, image: Params, landed: bool | None
    ) -> Trail:
        """The trail after a turn that went from `point` to `image`.

        landed : whether its leap raised the bound; None if there was none.
        """
        trail = (trail or Trail()).after(landed)
        kept = slice(-1, None) if len(trail.points) > self.pairs else slice(None)
        x, fx = (model.flatten(params) for params in (point, image))  # type: ignore[attr-defined]
        return replace(trail, points=(*trail.points[kept], x), images=(*trail.images[kept], fx))


def can_leap(thing: Any) -> bool:
    """Whether a model, and the families or models it is made of, offer `flatten`."""
    inside = [getattr(thing, name, None) for name in ("model", "family")]
    inside += [family for family, _ in getattr(thing, "parts", ())]
    return hasattr(thing, "flatten") and all(can_leap(part) for part in inside if part is not None)
