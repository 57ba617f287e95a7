"""Data whose rows are sequences, for models of chains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dem.engine.manifest import Manifest, cut, open_source, place_of
from dem.engine.readers.sequences import SequenceSource, starts_of


def sequences(data: Any, lengths: Any = None, *, weights: Any = None) -> Manifest:
    """Data for `dem.fit` of an `HMM`: rows one after the other, sequence after sequence.

    data, weights : see `dem.open_data`; the rows of a sequence have one weight.
    lengths : of the sequences, in the order of the rows; None for one of all the rows.

    Blocks are those of whole sequences where sequences are shorter than blocks, which takes one
    read for an E-step; else two. The rows have one more column, 1 where a sequence begins.

    Raises `DataError` for lengths that do not add up to the number of rows.
    """
    source = open_source(data)
    found = SequenceSource.of(source, starts_of(lengths, source.shape[0]))
    return replace(cut(found, weights=weights), place=place_of(data))
