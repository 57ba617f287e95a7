"""Objects of registered classes come back; nothing else is saved or loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dem.storable
from dem.errors import DataError
from dem.storable import storable
from dem.store import load, save, write
from storing import LITTLE, assert_same_bits, edit_metadata


@dataclass(frozen=True)
class Line:
    """A dummy to save."""

    points: np.ndarray
    history: tuple[np.ndarray, ...]
    colour: str

    def to_store(self) -> Any:
        return {"points": self.points, "history": self.history}, {"colour": self.colour}

    @classmethod
    def from_store(cls, arrays: Any, attributes: Any) -> "Line":
        if arrays["points"].ndim != 2:
            raise ValueError("points must be two-dimensional")
        return cls(arrays["points"], arrays["history"], attributes["colour"])


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dem.storable, "_registered", {})
    storable("Line", nonfinite=["history"])(Line)


LINE = Line(np.arange(4.0).reshape(2, 2), (np.array([-np.inf, 1.5]), np.array(2)), "blue")


def test_an_object_comes_back(target: str) -> None:
    save(LINE, target)
    back = load(target)
    assert type(back) is Line
    assert_same_bits(back.to_store()[0], LINE.to_store()[0])
    assert back.colour == "blue"


def test_saving_twice_replaces_and_can_be_forbidden(target: str) -> None:
    save(LINE, target)
    save(Line(LINE.points, (), "red"), target)
    assert load(target).colour == "red"
    with pytest.raises(FileExistsError):
        save(LINE, target, overwrite=False)


def test_only_registered_classes_are_saved(target: str) -> None:
    class Curve(Line):
        pass

    for obj in (Curve(*LINE.__dict__.values()), object(), {"a": 1}):
        with pytest.raises(TypeError, match="cannot be saved"):
            save(obj, target)
    with pytest.raises(FileNotFoundError):
        load(target)


@pytest.mark.parametrize("name", ["Curve", "os.system", "builtins.eval", "dem.store.Line", ""])
def test_only_registered_names_are_loaded(name: str, tmp_path: Path) -> None:
    save(LINE, tmp_path / "model")
    edit_metadata(tmp_path / "model", lambda m: m["attributes"]["attributes"].update(type=name))
    with pytest.raises(DataError, match=f"says it is a '{name}'.*Line"):
        load(tmp_path / "model")


@pytest.mark.parametrize(
    "attributes", [{}, {"type": 3, "state": {}}, {"type": "Line", "state": []}]
)
def test_arrays_alone_are_no_object(attributes: Any, target: str) -> None:
    write(target, LITTLE, attributes)
    with pytest.raises(DataError, match="no model"):
        load(target)


@pytest.mark.parametrize(
    ("arrays", "state", "message"),
    [
        ({"history": ()}, {"colour": "red"}, "KeyError"),
        ({"points": np.zeros((1, 1)), "history": ()}, {}, "KeyError"),
        ({"points": np.zeros(1), "history": ()}, {"colour": "red"}, "two-dimensional"),
        ({"points": (), "history": ()}, {"colour": "red"}, "AttributeError"),
    ],
)
def test_what_makes_no_sense_to_the_class_is_refused(
    arrays: Any, state: Any, message: str, target: str
) -> None:
    write(target, arrays, {"type": "Line", "state": state})
    with pytest.raises(DataError, match=f"does not hold a valid Line.*{message}"):
        load(target)


def test_nan_where_the_class_does_not_expect_it_is_refused(target: str) -> None:
    broken = Line(np.full((2, 2), np.nan), (), "blue")
    with pytest.raises(ValueError, match="points: holds NaN"):
        save(broken, target)
    arrays, state = broken.to_store()
    write(target, arrays, {"type": "Line", "state": state}, nonfinite=["points"])
    with pytest.raises(DataError, match="points: holds NaN"):
        load(target)


def test_a_name_belongs_to_one_class() -> None:
    with pytest.raises(ValueError, match="'Line' belongs to Line"):

        @storable("Line")
        class Other(Line):
            pass

    assert storable("Line", nonfinite=["history"])(Line) is Line
