"""Data, checkpoints and models in a bucket, of a server that is there, and of one that falters."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
import zarr
from click.testing import CliRunner

import dem
from dem.cli import main
from dem.engine.patience import may_pass
from dem.store.claim import Claim
from dem.store.place import Place
from dem.urls import check_url
from objects import BUCKET, SECRET, Objects, served
from processes import environment

HOW = ("-k", "3", "--max-iter", "3", "--tol", "0", "--threads", "2")


Run = Callable[..., str]


@pytest.fixture
def run(here: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """What `dem` says, all of it, in this process, which reaches the store."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, (result.output, result.exception)
        assert SECRET not in result.output
        return result.output

    return command


def apart(place: Path, told: Mapping[str, str], *words: str, code: int = 0) -> str:
    """The same in a process of its own, in another environment."""
    done = subprocess.run(
        [sys.executable, "-m", "dem.cli", *words], cwd=place, env=environment(**told), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert SECRET not in done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    with served(tmp_path_factory.mktemp("store")) as objects:
        yield objects


@pytest.fixture(scope="module")
def data(store: Objects, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows on disk, and the same in the bucket."""
    path = tmp_path_factory.mktemp("data") / "x.zarr"
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6000, 3)) + 2.0 * rng.integers(3, size=(6000, 1))
    zarr.create_array(str(path), data=rows, chunks=(2000, 3))
    store.upload(path, "x.zarr")
    return path


def test_a_fit_from_and_to_a_bucket(run: Run, store: Objects, data: Path, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}"
    where = ("--out", f"{url}/model", "--checkpoint", f"{url}/kept", "--resume")
    run("fit", f"{url}/x.zarr", *HOW, *where)
    asked = store.requests()
    run("fit", str(data), *HOW, "--out", "model")

    there, here = store.contents("model/"), tmp_path / "model"
    arrays = [key for key in there if not key.endswith("zarr.json")]
    assert arrays
    assert all(there[key] == (here / key).read_bytes() for key in arrays)
    assert not any(SECRET.encode() in body for body in store.contents().values())
    chunks = [line for line in asked if "/x.zarr/c/" in line]
    assert chunks
    assert {line.split()[0] for line in chunks} == {"GET", "PUT"}  # none is asked for its size
    assert not any("list-type" in line and "x.zarr" in line for line in asked)

    # The same command goes on from there, and a model is read from there.
    longer = [*HOW[:3], "5", *HOW[4:]]
    run("fit", f"{url}/x.zarr", *longer, *where)
    assert "turns" in run("show", f"{url}/model")


@pytest.fixture
def here(store: Objects, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the bucket, which this process can reach."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}"


def test_a_million_chunks_are_not_listed(here: str, store: Objects) -> None:
    array = zarr.create_array(
        f"{here}/large.zarr", shape=(10**9, 2), chunks=(1000, 2), dtype="f4", overwrite=True
    )
    assert array.nchunks == 10**6
    before = len(store.requests())
    manifest = dem.open_data(f"{here}/large.zarr")
    asked = store.requests()[before:]
    assert manifest.n_rows == 10**9
    assert len(asked) <= 6, asked
    assert not any("list-type" in line for line in asked)


def test_a_place_belongs_to_one_fit(here: str) -> None:
    claim = Claim(Place.of(f"{here}/claimed"))
    claim.make()
    with pytest.raises(FileExistsError, match="belongs to process"):
        Claim(Place.of(f"{here}/claimed")).make()
    assert claim.holds()
    claim.release()


@pytest.mark.parametrize("place", ["s3://no-such-bucket/model", "s3://no-such-bucket/a/model"])
def test_a_bucket_that_is_not_there_is_told_before_the_fit(
    place: str, run: Run, data: Path, store: Objects
) -> None:
    said = run("fit", str(data), *HOW, "--out", place, code=1)
    assert said.startswith(f"Error: nothing can be written to {place}")


def test_no_credentials(store: Objects, tmp_path: Path) -> None:
    kept = {k: v for k, v in store.environment.items() if "KEY" not in k}
    nowhere = {"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"}
    said = apart(tmp_path, kept | nowhere, "fit", f"s3://{BUCKET}/x.zarr", *HOW, code=1)
    assert said.splitlines()[-1] == "Error: Unable to locate credentials"


@pytest.mark.parametrize(
    "url",
    [
        f"s3://me:{SECRET}@bucket/x.zarr",
        f"https://host/x.npy?X-Amz-Signature={SECRET}",
        f"https://account.blob.core.windows.net/c/x.npy?sv=2024&sig={SECRET}",
        f"simplecache::https://me:{SECRET}@host/x.npy",
    ],
)
@pytest.mark.parametrize("use", [dem.open_data, dem.load, check_url], ids=["data", "model", "url"])
def test_urls_with_secrets_are_refused(url: str, use: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match="carries credentials") as caught:
        use(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["abfs://container@account.dfs.core.windows.net/x.zarr", "s3://b/x?versionId=3", "/a:b@c/x"],
)
def test_urls_without_secrets_are_not(url: str) -> None:
    check_url(url)


def test_given_credentials_are_not_kept(here: str, store: Objects, data: Path) -> None:
    """Those that a caller gives to a store go to workers with it, and into no checkpoint."""
    told = store.environment
    options = {"key": told["AWS_ACCESS_KEY_ID"], "secret": SECRET}
    array = zarr.open_array(f"{here}/x.zarr", mode="r", storage_options=options)
    assert SECRET.encode() in pickle.dumps(dem.open_data(array))
    model = dem.Mixture(2, dem.Gaussian())
    dem.fit(model, array, max_iter=2, tol=0.0, checkpoint=f"{here}/kept-2", threads=1)
    kept = store.contents("kept-2/")
    assert kept
    assert not any(SECRET.encode() in body for body in kept.values())


@pytest.mark.parametrize(
    ("status", "passes"), [(403, False), (404, False), (412, False), (502, True), (503, True)]
)
def test_what_google_answers(status: int, passes: bool) -> None:
    retry = pytest.importorskip("gcsfs.retry")
    with pytest.raises((OSError, retry.HttpError)) as caught:
        retry.validate_response(status, b'{"error": {"message": "no"}}', "bucket/x")
    assert may_pass(caught.value) is passes


def test_what_azure_refuses() -> None:
    faults = pytest.importorskip("azure.core.exceptions")
    wrapped = OSError("chunk (0, 0) cannot be read")
    wrapped.__cause__ = refused = faults.ClientAuthenticationError("no")
    assert not may_pass(refused)
    assert not may_pass(wrapped)
    assert may_pass(faults.ServiceResponseError("gone"))


class Faltering(BaseHTTPRequestHandler):
    """Passes requests on to a server; every fourth is cut off, every fifth is told to slow down."""

    protocol_version = "HTTP/1.1"
    numbers: Any
    target: str

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = next(self.numbers)
        if number % 4 == 0:
            self.close_connection = True
            self.connection.close()
            return
        if number % 5 == 0:
            self.send(503, [], b"<Error><Code>SlowDown</Code></Error>")
            return
        connection = HTTPConnection(self.target, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        got = connection.getresponse()
        told = [h for h in got.getheaders() if h[0].lower() not in ("content-length", "connection")]
        self.send(got.status, told, got.read(), got.getheader("Content-Length"))
        connection.close()

    def send(self, status: int, told: list, body: bytes, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in told:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def faltering(store: Objects) -> Iterator[str]:
    kind = type("Here", (Faltering,), {"numbers": count(1), "target": urlsplit(store.url).netloc})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def table(store: Objects, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of some row groups, and the same in the bucket."""
    path = tmp_path_factory.mktemp("table") / "x.parquet"
    rows = np.random.default_rng(0).normal(size=(3, 24_000))
    pq.write_table(pa.table(dict(zip("abc", rows, strict=True))), path, row_group_size=2000)
    store.client.put_object(Bucket=BUCKET, Key="x.parquet", Body=path.read_bytes())
    return path


def test_of_parquet_only_what_is_asked_for_is_fetched(
    here: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    whole = s3fs.core.S3File._fetch_range

    def fetch(file: Any, start: int, end: int) -> bytes:
        fetched.append(end - start)
        return whole(file, start, end)

    monkeypatch.setattr(s3fs.core.S3File, "_fetch_range", fetch)
    manifest = dem.open_data(f"{here}/x.parquet", block_bytes=48_000)
    assert manifest.n_blocks == 12
    near = dem.open_data(table, block_bytes=48_000).reader
    for block in range(12):
        assert np.array_equal(manifest.reader.read(block), near.read(block))
    size = table.stat().st_size
    assert sum(fetched) < size + 65_536 + 1000  # the footer comes with the 64 kB before the end
    assert len(fetched) == 13


@pytest.mark.deploy
@pytest.mark.parametrize("kind", ["zarr", "parquet"])
def test_a_server_that_falters(
    kind: str, faltering: str, run: Run, store: Objects, data: Path, table: Path, tmp_path: Path
) -> None:
    """Reads and the model are tried again; the bits are those of a good day."""
    told = store.environment | {"AWS_ENDPOINT_URL": faltering}
    url = f"s3://{BUCKET}"
    where = ("--out", f"{url}/faltering-{kind}")
    apart(tmp_path, told, "fit", f"{url}/x.{kind}", *HOW, *where)
    run("fit", str({"zarr": data, "parquet": table}[kind]), *HOW, "--out", "model")
    there = store.contents(f"faltering-{kind}/")
    arrays = [key for key in there if not re.search("zarr.json$", key)]
    assert arrays
    assert all(there[key] == (tmp_path / "model" / key).read_bytes() for key in arrays)


def test_a_server_that_is_gone(store: Objects, tmp_path: Path) -> None:
    """Its exit code says that the same command may do another time."""
    gone = store.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    said = apart(tmp_path, gone, "fit", f"s3://{BUCKET}/x.zarr", *HOW, code=75)
    assert said.splitlines()[-1].startswith("Error: ")
