"""A group is there whole or not at all."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dem.errors import DataError
from dem.store import read, write
from storing import LITTLE, assert_same_bits, files


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("disk full")])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_leaves_a_path_as_it_was(
    interruption: Any, existing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    if existing:
        write(target, LITTLE, {"old": True})
    before = files(tmp_path)

    def fail(*_: Any, **__: Any) -> None:
        assert files(tmp_path) != before, "fails before anything is written: no test"
        raise interruption

    monkeypatch.setattr("zarr.Group.update_attributes", fail)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - KeyboardInterrupt is none
        write(target, {"a": np.zeros(9)}, {})
    assert caught.type is (interruption if isinstance(interruption, type) else OSError)
    assert files(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if existing else [])


@pytest.mark.parametrize("when", [1, 2])
def test_a_failure_of_the_swap_itself_leaves_a_path_as_it_was(
    when: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "model", LITTLE, {"old": True})
    before = files(tmp_path)
    rename, calls = Path.rename, iter(range(1, 10))

    def fail_once(self: Path, other: Path) -> Path:
        if next(calls) == when:
            raise OSError("no")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "model", {"a": np.zeros(9)}, {})
    assert files(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failure_behind_a_url_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"memory://{uuid.uuid4().hex}/model"

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("zarr.Group.update_attributes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(uri, LITTLE, {})
    with pytest.raises(FileNotFoundError):
        read(uri)
    write(uri, LITTLE, {})


def test_a_group_that_was_never_completed_is_refused_and_can_be_replaced(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a process that is killed leaves it behind a URL: no time to clean up.
    with monkeypatch.context() as patch:
        patch.setattr("zarr.Group.update_attributes", lambda *_: None)
        write(target, LITTLE, {})
    with pytest.raises(DataError, match="incomplete"):
        read(target)
    write(target, LITTLE, {})
    assert_same_bits(read(target)[0], LITTLE)


def test_replacing_leaves_nothing_of_the_former(target: str) -> None:
    write(target, {"old": np.zeros(3), "both": np.zeros(2)}, {"old": 1})
    write(target, {"new": np.ones(3), "both": np.ones(5)}, {})
    values, attributes = read(target)
    assert_same_bits(values, {"new": np.ones(3), "both": np.ones(5)})
    assert attributes == {}
    assert set(zarr.open_group(target, mode="r")) == {"new", "both"}


def test_replacing_can_be_forbidden(target: str) -> None:
    write(target, LITTLE, {}, overwrite=False)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write(target, {}, {}, overwrite=False)
    assert_same_bits(read(target)[0], LITTLE)


def test_an_empty_directory_is_free(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write(tmp_path / "model", LITTLE, {})
    assert_same_bits(read(tmp_path / "model")[0], LITTLE)


def test_the_parent_must_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        write(tmp_path / "no" / "model", LITTLE, {})
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "v1", LITTLE, {})
    (tmp_path / "latest").symlink_to("v1")
    write(tmp_path / "latest", {"a": np.zeros(1)}, {})
    assert (tmp_path / "latest").is_symlink()
    assert_same_bits(read(tmp_path / "v1")[0], {"a": np.zeros(1)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "v1"]


def test_paths_come_as_strings_paths_and_file_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("model", LITTLE, {})
    for uri in ("model", Path("model"), tmp_path / "model", (tmp_path / "model").as_uri()):
        assert_same_bits(read(uri)[0], LITTLE)


def test_permissions_are_those_of_any_new_directory(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    write(tmp_path / "model", LITTLE, {})
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode
