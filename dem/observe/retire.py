"""``python -m dem.observe.retire``: have the scheduler retire the worker of this container.

For the moment before a container is ended, as Kubernetes' `preStop` is: the worker then gets no
more tasks, and what others need of its memory is copied, which SIGTERM alone leaves undone. The
scheduler must serve `distributed.http.scheduler.api`.

Environment: DASK_SCHEDULER_ADDRESS (tcp://host:8786), DASK_WORKER_NAME, and
DEM_SCHEDULER_HTTP_PORT (8787).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

TIMEOUT_SECONDS = 20.0


def retire(scheduler: str, name: str, port: int) -> bool:
    """Retire the worker of this name; whether there was one. OSError if the scheduler is gone."""
    api = f"http://{urlsplit(scheduler).hostname}:{port}/api/v1"
    workers = _asked(f"{api}/get_workers")["workers"]
    found = [worker["address"] for worker in workers if str(worker["name"]) == name]
    if found:
        _asked(f"{api}/retire_workers", {"workers": found})
    return bool(found)


def _asked(url: str, question: dict[str, Any] | None = None) -> Any:
    data = None if question is None else json.dumps(question).encode()
    with urlopen(Request(url, data), timeout=TIMEOUT_SECONDS) as answer:
        return json.load(answer)


def main() -> None:
    port = int(os.environ.get("DEM_SCHEDULER_HTTP_PORT", "8787"))
    try:
        retire(os.environ["DASK_SCHEDULER_ADDRESS"], os.environ["DASK_WORKER_NAME"], port)
    except OSError as error:  # then there is nobody to whom it would matter
        sys.exit(f"the scheduler could not be asked: {error}")


if __name__ == "__main__":
    main()
