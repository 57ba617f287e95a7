"""What is read is what was written, bit for bit."""

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dem.store import read, write
from storing import LITTLE, assert_same_bits, files

DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(sizes=(64, 128)),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
VALUES = st.recursive(
    ARRAYS,
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=5,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON_VALUES = st.recursive(
    SCALARS.filter(lambda x: x not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, VALUES, max_size=3), st.dictionaries(st.text(), JSON_VALUES))
def test_what_is_read_is_what_was_written_to_the_bit(values: dict, attributes: dict) -> None:
    uri = f"memory://{uuid.uuid4().hex}"
    write(uri, values, attributes, nonfinite=values.keys())
    back, attributes_back = read(uri, nonfinite=values.keys())
    assert_same_bits(back, values)
    assert attributes_back == attributes
    assert json.dumps(attributes_back) == json.dumps(attributes)


def test_signs_of_zero_infinities_and_payloads_of_nan_survive(target: str) -> None:
    odd = np.array([-0.0, 0.0, np.inf, -np.inf, np.nan, 5e-324, 1 / 3])
    odd = np.append(odd, np.array([0x7FF8_0000_DEAD_BEEF, 0xFFF0_0000_0000_0001], "u8").view("f8"))
    zeros = np.full((3, 2), -0.0)
    write(target, {"a": odd, "b": {"c": zeros}}, {}, nonfinite=["a"])
    back, _ = read(target, nonfinite=["a"])
    assert_same_bits(back, {"a": odd, "b": {"c": zeros}})


def test_layout_in_memory_does_not_matter(target: str) -> None:
    array = np.arange(24.0).reshape(4, 6)
    values = {
        "f": np.asfortranarray(array),
        "strided": array[::2, ::-3],
        "big": array.astype(">f8"),
    }
    write(target, values, {})
    assert_same_bits(read(target)[0], values)


def test_arrays_larger_than_a_chunk(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dem.store.groups._CHUNK_BYTES", 100)
    values = {"tall": np.arange(70.0).reshape(35, 2), "wide": np.arange(60.0).reshape(3, 20)}
    write(target, values, {})
    assert_same_bits(read(target)[0], values)
    assert zarr.open_group(target, mode="r")["tall"].chunks == (6, 2)


def test_any_reader_of_zarr_can_read_it(target: str) -> None:
    write(target, {"a": LITTLE["means"], "t": (np.array(3),)}, {"colour": "red"})
    group = zarr.open_group(target, mode="r")
    assert np.array_equal(group["a"][...], LITTLE["means"])
    assert group["t/0"][()] == 3
    assert group.attrs["attributes"] == {"colour": "red"}


def test_a_tuple_among_attributes_comes_back_as_a_list(target: str) -> None:
    write(target, {}, {"shape": (1, (2, "x"))})
    assert read(target) == ({}, {"shape": [1, [2, "x"]]})


@pytest.mark.parametrize(
    ("values", "attributes", "error", "message"),
    [
        ({"a": np.array(["x"])}, {}, TypeError, "a: an array of <U1"),
        ({"a": np.array([object()])}, {}, TypeError, "a: an array of object"),
        ({"a": np.array([1], "m8[s]")}, {}, TypeError, "a: an array of timedelta64"),
        ({"a": np.zeros(1, [("x", "f8")])}, {}, TypeError, "a: an array of"),
        ({"a": {"b": 3.0}}, {}, TypeError, "a/b: a float cannot be stored as an array"),
        ({"a": [np.zeros(1)]}, {}, TypeError, "a: a list cannot be stored as an array"),
        ({"a": (np.array([0, np.nan]),)}, {}, ValueError, r"a/0: holds NaN.*index \(1,\)"),
        ({"../a": np.zeros(1)}, {}, ValueError, "'../a': a name is a letter"),
        ({"zarr.json": np.zeros(1)}, {}, ValueError, "a name is a letter"),
        ({"a\n": np.zeros(1)}, {}, ValueError, "a name is a letter"),
        ({"": np.zeros(1)}, {}, ValueError, "a name is a letter"),
        ({"a": {3: np.zeros(1)}}, {}, ValueError, "a/3: a name is a letter"),
        ({"a": np.zeros(1), "A": np.zeros(1)}, {}, ValueError, "differ by case"),
        ({}, {"x": {"y": float("nan")}}, ValueError, "attributes/x/y: JSON has no nan"),
        ({}, {"x": [np.int64(3)]}, TypeError, "attributes/x/0: a int64 is not JSON"),
        ({}, {"x": {1: 2}}, TypeError, "attributes/x: the name 1 is not a string"),
        ({}, {"x": object()}, TypeError, "attributes/x: a object is not JSON"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(
    values: Any, attributes: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "model", LITTLE, {})
    before = files(tmp_path)
    with pytest.raises(error, match=message):
        write(tmp_path / "model", values, attributes)
    assert files(tmp_path) == before


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    values: Any = np.zeros(1)
    attributes: Any = 1
    for _ in range(1000):
        values, attributes = (values,), [attributes]
    with pytest.raises(ValueError, match="nested more than"):
        write(tmp_path / "model", {"a": values}, {})
    with pytest.raises(ValueError, match="nested more than"):
        write(tmp_path / "model", {}, {"a": attributes})
