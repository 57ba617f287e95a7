"""Partial M-steps by composition: models around models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dem.checks import check_all
from dem.contract import Array, Model, Params
from dem.stats import Stats


@dataclass(frozen=True)
class Frozen:
    """A model some of whose parameters stay as they are in every M-step.

    L still never falls as long as the M-step treats the frozen and the free parameters apart.

    fields : names of fields of the parameters, with dots to reach into them.
    """

    model: Model
    fields: tuple[str, ...]

    def __post_init__(self) -> None:
        check_all("fields", self.fields, str)

    def check(self, params: Params) -> None:
        """Raise ValueError, TypeError or AttributeError unless params are the model's."""
        getattr(self.model, "check", lambda params: None)(params)
        for name in self.fields:
            _restore(params, params, name.split("."))

    def m_step(self, params: Params, stats: Stats) -> Params:
        new = self.model.m_step(params, stats)
        for name in self.fields:
            new = _restore(new, params, name.split("."))
        return new

    def unflatten(self, vector: Array, like: Params) -> Params:
        new = self.model.unflatten(vector, like)  # type: ignore[attr-defined]
        for name in self.fields:
            new = _restore(new, like, name.split("."))
        return new

    def __getattr__(self, name: str) -> Any:
        # Everything but the M-step is the model's own. Dunder look-ups must not be passed on,
        # or copying and pickling would ask a model that is not there yet.
        if name.startswith("__") or name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)


def _restore(new: Any, old: Any, path: list[str]) -> Any:
    head, *rest = path
    value = getattr(old, head)
    if rest:
        value = _restore(getattr(new, head), value, rest)
    return replace(new, **{head: value})
