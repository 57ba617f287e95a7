"""Pods without Kubernetes: each a network namespace with a name, and the process of a container.

What the kubelet would do is done here: resolve the environment, start again what has ended, run
`preStop` and send SIGTERM before SIGKILL. `ip netns exec` has each namespace see an /etc/hosts of
its own, so that addresses are those of the manifests.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from manifests import DEPLOY, Role
from processes import environment

NET = "10.213.78"


def of_dockerfile() -> dict[str, str]:
    """The environment that the image gives to its containers, but for PATH."""
    text = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    told = dict(word.split("=", 1) for word in shlex.split(line))
    return {name: value for name, value in told.items() if name != "PATH"}


def ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, capture_output=True, text=True)


@dataclass
class Pod:
    """A container that is started again whenever it ends in a way that its policy covers.

    ended : its exit codes so far. log : what it has written, of all its lives.
    """

    role: Role
    within: list[str]
    place: Path
    environment: Mapping[str, str]
    on_failure: bool = False  # else always
    ended: list[int] = field(default_factory=list)
    process: subprocess.Popen | None = None
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.place.mkdir()
        self._start()
        self._kubelet = threading.Thread(target=self._watch, daemon=True)
        self._kubelet.start()

    @property
    def log(self) -> str:
        return (self.place / "log").read_text(errors="replace")

    @property
    def done(self) -> bool:
        """Whether it has ended for good."""
        return not self._kubelet.is_alive()

    def kill(self) -> None:
        """SIGKILL to the container, as when it is out of memory; it is started again."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)

    def delete(self, grace: float) -> None:
        """As Kubernetes deletes a pod: `preStop`, SIGTERM, and SIGKILL in the end."""
        self._over.set()
        assert self.process
        if self.process.poll() is None:
            if self.role.before_stop:
                self._run(self.role.before_stop).wait(grace)
            if self.process.poll() is None:
                self.process.terminate()
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        self._kubelet.join(20)

    def end(self) -> None:
        """Now, whatever it does."""
        self._over.set()
        if self.process and self.process.poll() is None:
            self.kill()
        self._kubelet.join(20)

    def _watch(self) -> None:
        while True:
            assert self.process
            self.ended.append(self.process.wait())
            if self._over.is_set() or (self.on_failure and self.ended[-1] == 0):
                return
            if self._over.wait(1.0):  # kubelets wait longer, and longer each time
                return
            self._start()

    def _start(self) -> None:
        self.process = self._run(
            [word.replace("/scratch", str(self.place)) for word in self.role.command]
        )

    def _run(self, command: list[str]) -> subprocess.Popen:
        program = shutil.which(command[0], path=self.environment["PATH"])
        with open(self.place / "log", "ab") as log:
            return subprocess.Popen(
                [*self.within, program or command[0], *command[1:]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self.environment),
                cwd=self.place, start_new_session=True,
            )  # fmt: skip


@dataclass
class Network:
    """Namespaces on a switch. names : addresses by the names that all of them know."""

    place: Path
    stack: ExitStack
    names: dict[str, str] = field(default_factory=dict)
    _switch: str = field(default_factory=lambda: f"demp{os.getpid() % 10**6}")
    _hosts: int = 1

    def __post_init__(self) -> None:
        ip("link", "add", self._switch, "type", "bridge")
        self.stack.callback(ip, "link", "del", self._switch)
        ip("addr", "add", f"{NET}.1/24", "dev", self._switch)
        ip("link", "set", self._switch, "up")

    def host(self, *names: str) -> tuple[str, list[str]]:
        """A new one: its address, and the command that runs another one there."""
        self._hosts += 1
        inside, cable = f"{self._switch}-{self._hosts}", f"{self._switch}c{self._hosts}"
        ip("netns", "add", inside)
        self.stack.callback(ip, "netns", "del", inside)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", inside)
        ip("link", "set", cable, "master", self._switch, "up")
        ip("-n", inside, "addr", "add", f"{NET}.{self._hosts}/24", "dev", "eth0")
        ip("-n", inside, "link", "set", "eth0", "up")
        ip("-n", inside, "link", "set", "lo", "up")
        self.names |= dict.fromkeys(names, f"{NET}.{self._hosts}")
        hosts = Path("/etc/netns") / inside / "hosts"
        hosts.parent.mkdir(parents=True)
        self.stack.callback(shutil.rmtree, hosts.parent)
        lines = ["127.0.0.1 localhost", *(f"{where} {name}" for name, where in self.names.items())]
        hosts.write_text("\n".join(lines) + "\n")
        return f"{NET}.{self._hosts}", ["ip", "netns", "exec", inside]

    def pod(
        self, role: Role, secret: Mapping[str, str], *names: str, on_failure: bool = False
    ) -> Pod:
        """A pod of this role on a host of its own."""
        address, within = self.host(*names)
        place = self.place / f"{role.name}-{address.rpartition('.')[2]}"
        config = self.place / "etc-dask"
        config.mkdir(exist_ok=True)
        shutil.copy(DEPLOY / "dask.yaml", config / "dem.yaml")
        checkout = {name: environment()[name] for name in ("PYTHONPATH",)}
        told = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.place),
            "DASK_ROOT_CONFIG": str(config),
            **checkout,
            **of_dockerfile(),
            **secret,
            **role.environment,
        }
        pod = Pod(role, within, place, told, on_failure)
        self.stack.callback(pod.end)
        return pod


@contextmanager
def network(place: Path) -> Iterator[Network]:
    """A switch for the length of the block; then all that was on it is gone."""
    with ExitStack() as stack:
        yield Network(place, stack)
