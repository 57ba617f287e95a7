"""An S3 server of our own: moto's, in a process. It keeps its objects in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from machines import eventually
from processes import environment

BUCKET = "my-bucket"
SECRET = "a-secret-that-is-nowhere-to-be-found"


def credentials(url: str) -> dict[str, str]:
    """What a secret would put into the environment."""
    return {
        "AWS_ACCESS_KEY_ID": "an-access-key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": url,
    }


@dataclass(frozen=True)
class Objects:
    """A server with an empty bucket."""

    url: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        return credentials(self.url)

    @property
    def client(self) -> Any:
        told = self.environment
        return boto3.client(
            "s3",
            endpoint_url=told["AWS_ENDPOINT_URL"],
            region_name=told["AWS_DEFAULT_REGION"],
            aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
        )

    def upload(self, place: Path, prefix: str) -> None:
        """The files of a directory."""
        client = self.client
        for path in sorted(p for p in place.rglob("*") if p.is_file()):
            key = f"{prefix}/{path.relative_to(place)}"
            client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

    def contents(self, prefix: str = "") -> Mapping[str, bytes]:
        """All objects below a prefix, by what their keys have after it."""
        client = self.client
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {
            key.removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }

    def requests(self) -> list[str]:
        """Method and path of each request so far."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line.split('"')[1].rpartition(" ")[0] for line in lines if " HTTP/1.1" in line]


@contextmanager
def served(place: Path, host: str = "127.0.0.1", within: Sequence[str] = ()) -> Iterator[Objects]:
    """A server for the length of the block; within : a command that runs the one which follows."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = place / "objects.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), cwd=place,
        )  # fmt: skip
    try:
        eventually(lambda: _answers(host, port), "an S3 server", 60)
        objects = Objects(f"http://{host}:{port}", log)
        objects.client.create_bucket(Bucket=BUCKET)
        yield objects
    finally:
        process.kill()
        process.wait(10)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
