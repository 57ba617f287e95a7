"""Gaussian components as seen through patterns of missing values, for given parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dem.kernels.conditional import Conditionals, conditionals
from dem.kernels.normal import pack

if TYPE_CHECKING:
    from dem.families.prepared import GaussianParams

Array = np.ndarray
LOG_2PI = float(np.log(2 * np.pi))
# Numbers that the patterns of a task may take up together, 128 MB, and those at work.
REMEMBERED, WORKING = 2**24, 2**22


class Marginals(NamedTuple):
    """For K components and B patterns, of which o are the columns that are there.

    eta : (B, K, P), log p(x_o | k) = η · (1, x, products of x) whatever is put for what is missing.
    log_norm : (K, B), log p(μ_o | k), plus the offset.
    whitening : (K, B, D, D), W with |W (x − μ)|² the Mahalanobis distance of x_o.
    completion : (K, B, D + 1, D + 1), which takes (1, x − c) to (1, E[x | x_o] − μ), transposed.
    residual : (K, B, D(D+1)/2), the covariance of x given x_o, packed.
    entropy : (K, B), of what is missing given x_o, in nats and the user's units.
    """

    eta: Array
    log_norm: Array
    whitening: Array
    completion: Array
    residual: Array
    entropy: Array


class Chosen:
    """Some patterns of several tables of marginals."""

    def __init__(self, tables: Sequence[Marginals], places: Sequence[tuple[int, int]]) -> None:
        """places : of each pattern, the number of its table and the place in that."""
        self._tables, self._places = tables, places
        whose, place = np.array(places).T
        self._parts = [
            (table, place[here], here)
            for number, table in enumerate(tables)
            if len(here := np.flatnonzero(whose == number))
        ]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def eta(self) -> list[Array]:
        """That of each pattern, (K, P)."""
        return [self._tables[number].eta[place] for number, place in self._places]

    def of(self, field: str, j: int) -> Array:
        """A field of component j for each pattern, (B, ...)."""
        found = [(getattr(table, field)[j], place, here) for table, place, here in self._parts]
        if len(found) == 1:
            values, place, _ = found[0]
            return np.take(values, place, axis=0)
        out = np.empty((len(self), *found[0][0].shape[1:]))
        for values, place, here in found:
            out[here] = values[place]
        return out


class Patterns:
    """Marginals by their patterns, each calculated once, as long as they are not too many.

    Each is calculated by itself, so that nothing depends on which others there are.
    """

    def __init__(
        self, params: GaussianParams, covariances: Array, centre: Array, offset: Array
    ) -> None:
        """covariances : (K, D, D) or (D, D), in the frame. centre : c (K, D), of the sums."""
        self._means, self._centre, self._offset = params.means, centre, offset
        self._covariances = covariances = covariances.reshape(-1, *covariances.shape[-2:])
        self._log_scale = np.log(params.frame.scale)
        lower = np.linalg.cholesky(covariances)
        self._log_det = np.log(np.einsum("kii->ki", lower)).sum(axis=1)
        k, d = params.means.shape
        self._volume = k * (2 * (d + 1) ** 2 + (d + 1) * (d + 2))
        self._known: tuple[dict[bytes, tuple[int, int]], tuple[Marginals, ...]] = {}, ()

    @property
    def most(self) -> int:
        """How many are handled at a time, for the sake of memory."""
        return max(WORKING // self._volume, 1)

    def of(self, observed: Array) -> Chosen:
        """The marginals of patterns (B, D) bool."""
        known, tables = self._known
        keys = [pattern.tobytes() for pattern in observed]
        new = [i for i, key in enumerate(keys) if key not in known]
        if (len(known) + len(new)) * self._volume > REMEMBERED:
            return Chosen((self._calculated(observed),), [(0, i) for i in range(len(keys))])
        if new:
            known = known | {keys[i]: (len(tables), n) for n, i in enumerate(new)}
            tables = *tables, self._calculated(observed[new])
            self._known = known, tables  # at once, as threads may share this
        return Chosen(tables, [known[key] for key in keys])

    def _calculated(self, observed: Array) -> Marginals:
        means, (b, d) = self._means, observed.shape
        every = conditionals(self._covariances, observed)
        shape = (len(means), b)  # one covariance is the same for all components
        found = Conditionals(*(np.broadcast_to(a, shape + a.shape[2:]) for a in every))
        precision = found.whitening.swapaxes(-1, -2) @ found.whitening
        linear = (precision @ means[:, None, :, None])[..., 0]
        # No products with all the patterns at once: bits of one would depend on the others.
        units = (observed * (LOG_2PI / 2 + self._log_scale)).sum(axis=1)
        free = (~observed * ((1 + LOG_2PI) / 2 + self._log_scale)).sum(axis=1)
        log_norm = self._offset[:, None] - (found.log_det + units)
        constant = log_norm - (linear * means[:, None]).sum(axis=-1) / 2
        np.einsum("kbii->kbi", precision)[:] /= 2  # see `Full.natural`
        eta = np.concatenate([constant[..., None], linear, -pack(precision)], axis=-1)
        shift = found.regression @ (self._centre - means)[:, None, :, None]
        completion = np.zeros((*shape, d + 1, d + 1))
        completion[..., 0, 0] = 1.0
        completion[..., 0, 1:] = shift[..., 0]
        completion[..., 1:, 1:] = found.regression.swapaxes(-1, -2)
        return Marginals(
            eta=np.ascontiguousarray(eta.swapaxes(0, 1)),
            log_norm=log_norm,
            whitening=found.whitening,
            completion=completion,
            residual=pack(found.residual),
            entropy=self._log_det[:, None] - found.log_det + free,
        )
