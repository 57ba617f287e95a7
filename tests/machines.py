"""A scheduler and workers as processes of their own, which can be killed one by one.

Each is a session of its own, so that a nanny and its worker end together; all of them are ended
when the block that began them is left, whatever happened in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

from distributed import Client

from processes import environment

# A process that is not killed by its test must not outlive the tests by much either.
DEATH_SECONDS = "30"
LITTLE_MEMORY = 600 * 2**20


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true value of the condition. Raises AssertionError if there is none in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


@dataclass
class Machines:
    """A scheduler on `host`, a client of it, and workers that come and go.

    place : a directory for what they write; there is a log of each process.
    config : of Dask, as environment variables, for all of them.
    """

    place: Path
    host: str = "127.0.0.1"
    config: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    _numbers: Any = field(default_factory=count)
    _plain: dict[str, bool] = field(default_factory=dict)  # workers without options: with a nanny?

    def __enter__(self) -> Self:
        try:
            self._enter()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _enter(self) -> None:
        told = self.place / f"scheduler-{time.monotonic_ns()}.json"
        self._start(
            "scheduler",
            ["distributed.cli.dask_scheduler", "--no-dashboard", "--scheduler-file", str(told)],
            self.host,
        )
        eventually(lambda: told.exists() and told.read_text().endswith("}"), "a scheduler")
        self.address = json.loads(told.read_text())["address"]
        self.client = Client(self.address, set_as_default=False, timeout=30)

    def __exit__(self, *exception: object) -> None:
        if hasattr(self, "client"):
            self.client.close(timeout=2)
        for name in list(self.processes):
            self.kill(name)

    def start(
        self,
        *options: str,
        nanny: bool = False,
        host: str | None = None,
        within: Sequence[str] = (),
    ) -> str:
        """Begin a worker of one thread; its name, by which the scheduler knows it too.

        within : a command that runs the one which follows it, such as in another namespace.
        """
        name = f"worker-{next(self._numbers)}"
        if not options and not within:
            self._plain[name] = nanny
        command = ["distributed.cli.dask_worker", self.address, "--name", name, "--no-dashboard"]
        command += ["--nthreads", "1", "--death-timeout", DEATH_SECONDS]
        command += ["--nanny" if nanny else "--no-nanny", "--local-directory", str(self.place)]
        self._start(name, [*command, *options], host or self.host, within)
        return name

    def ready(self, *names: str) -> None:
        """Wait until the scheduler knows these workers."""
        eventually(lambda: set(names) <= self.addresses().keys(), f"workers {names}", 60)

    def staff(self, n: int, nanny: bool = False) -> list[str]:
        """Have so many workers without options, and no others; their names.

        Those there are stay if they can: to start one and to import dem in it takes seconds.
        """
        there = self.addresses()
        fit = [name for name in there if self.alive(name) and self._plain.get(name) == nanny][:n]
        for name in self.processes.keys() - {"scheduler", *fit}:
            self.kill(name)
        names = fit + [self.start(nanny=nanny) for _ in range(n - len(fit))]
        eventually(lambda: self.addresses().keys() == set(names), f"workers {names}", 60)
        return names

    def addresses(self) -> dict[str, str]:
        """Of the workers that the scheduler knows, by name."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return {worker["name"]: address for address, worker in workers.items()}

    def alive(self, name: str) -> bool:
        """Whether the process (the nanny, if there is one) still runs."""
        return name in self.processes and self.processes[name].poll() is None

    def kill(self, name: str) -> None:
        """SIGKILL to a process and its children, and wait for its end."""
        process = self.processes.pop(name)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            assert process.poll() is not None
        process.wait(10)

    def with_a_sluggard(self) -> str:
        """Have two workers, one with little memory; its address."""
        self.staff(1)
        name = self.start("--memory-limit", str(LITTLE_MEMORY))
        self.ready(name)
        return self.addresses()[name]

    def pause(self, address: str) -> None:
        """Have that worker hold so much that it is paused, and stays so."""
        self.client.run(_weigh_down, workers=[address])
        eventually(lambda: self.paused(address), "a paused worker")

    def paused(self, address: str) -> bool:
        return self.client.run_on_scheduler(_status, address) == "paused"

    def pid(self, address: str) -> int:
        (pid,) = self.client.run(os.getpid, workers=[address]).values()
        return pid

    def strike(self, name: str) -> None:
        """SIGKILL to the worker, not its nanny, at a moment at which it has tasks of a pass."""
        address = self.addresses()[name]
        pid = self.pid(address)
        eventually(lambda: self.client.run_on_scheduler(_strike, address, pid), "tasks there")

    def _start(
        self, name: str, command: Sequence[str], host: str, within: Sequence[str] = ()
    ) -> None:
        with open(self.place / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [*within, sys.executable, "-m", *command, "--host", host, *_port(command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**self.config),
                start_new_session=True,
                cwd=self.place,  # so that nothing is imported from where the tests are run
            )


def blocks_done(dask_worker: Any) -> int:
    """By a worker, of the passes that it remembers."""
    meter = dask_worker.metrics.get("dem")
    return sum(meter(dask_worker).values()) if meter else 0


def while_there(path: Path) -> int:
    """Waits as long as there is such a file; the process that does."""
    while path.exists():
        time.sleep(0.01)
    return os.getpid()


def _weigh_down(dask_worker: Any) -> None:
    """Hold 0.88 of the memory: workers are paused at 0.8, and ended at 0.95."""
    used = dask_worker.monitor.get_process_memory()
    dask_worker.ballast = b"x" * int(0.88 * LITTLE_MEMORY - used)


def _status(address: str, dask_scheduler: Any) -> str:
    return dask_scheduler.workers[address].status.name


def _port(command: Sequence[str]) -> list[str]:
    return ["--port", "0"] if command[0].endswith("scheduler") else []


def _strike(address: str, pid: int, dask_scheduler: Any) -> bool:
    """On the scheduler's event loop, so that nothing comes between looking and killing."""
    worker = dask_scheduler.workers[address]
    if not any("range" in task.key for task in worker.processing):
        return False
    os.kill(pid, signal.SIGKILL)
    return True
