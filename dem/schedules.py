"""Schedules: which blocks get a fresh q before the next M-step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dem.stats import Stats


@dataclass(frozen=True)
class FullBatch:
    """The textbook: every row gets a fresh q, then one M-step. Nothing is remembered."""

    def choose(self, turn: int, n_groups: int) -> tuple[int, ...]:
        return tuple(range(n_groups))

    def merge(
        self, memory: Any, groups: tuple[int, ...], fresh: tuple[Stats, ...]
    ) -> tuple[None, Stats]:
        total = fresh[0]
        for stats in fresh[1:]:
            total = total + stats
        return None, total
