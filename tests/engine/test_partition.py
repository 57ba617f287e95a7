"""Links that are cut, between hosts in network namespaces of their own.

Needs Linux and CAP_NET_ADMIN, and takes minutes: `pytest -m net_admin`. The scheduler is here, and
each worker is in a namespace, on a cable to a switch; to cut the link is to take the cable out.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from dem.jobs import Job
from machines import Machines, eventually
from trials import KINDS, Trial, at_turn

NET = "10.213.77"
# As short as distributed can make of it ten probes, a second apart.
SHORT = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}
pytestmark = [
    pytest.mark.net_admin,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("small_blocks"),
    pytest.mark.skipif(not shutil.which("ip"), reason="needs ip, of iproute2"),
]


def ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class Network:
    """A switch, and hosts on it: this one, and some in namespaces."""

    name: str
    stack: ExitStack

    def __post_init__(self) -> None:
        self._made(["link", "add", self.name, "type", "bridge"], ["link", "del", self.name])
        ip("addr", "add", f"{NET}.1/24", "dev", self.name)
        ip("link", "set", self.name, "up")

    def host(self, number: int) -> tuple[str, list[str]]:
        """A new one: its address, and the command that runs another one there."""
        inside, cable = f"{self.name}-{number}", self._cable(number)
        self._made(["netns", "add", inside], ["netns", "del", inside])
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", inside)
        ip("link", "set", cable, "master", self.name, "up")
        ip("-n", inside, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
        ip("-n", inside, "link", "set", "eth0", "up")
        ip("-n", inside, "link", "set", "lo", "up")
        return f"{NET}.{number}", ["ip", "netns", "exec", inside]

    def cut(self, *numbers: int) -> None:
        for number in numbers:
            ip("link", "set", self._cable(number), "nomaster")

    def mend(self, *numbers: int) -> None:
        for number in numbers:
            ip("link", "set", self._cable(number), "master", self.name)

    def _cable(self, number: int) -> str:
        return f"{self.name}c{number}"

    def _made(self, make: Sequence[str], remove: Sequence[str]) -> None:
        ip(*make)
        self.stack.callback(ip, *remove)


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(f"dem{os.getpid() % 10**6}", stack)


@dataclass(frozen=True)
class Hosts:
    """Two workers, each on a host of its own."""

    network: Network
    machines: Machines
    trial: Trial

    def start(self, number: int, nanny: bool = False) -> str:
        address, within = self.network.host(number)
        return self.machines.start(nanny=nanny, host=address, within=within)


@pytest.fixture
def hosts(
    request: pytest.FixtureRequest,
    network: Network,
    tmp_path: Path,
    lost: Callable[[str, float, float], None],
) -> Iterator[Hosts]:
    """Of which the connections time out as the test asks for, else after 30 s."""
    (tmp_path / "trial").mkdir()
    with Machines(tmp_path, f"{NET}.1", getattr(request, "param", {})) as machines:
        trial = Trial(machines, tmp_path / "trial", lost)
        hosts = Hosts(network, machines, trial)
        machines.ready(*(hosts.start(number) for number in (2, 3)))
        yield hosts


@pytest.mark.parametrize("kind", ["file", "array"])
@pytest.mark.parametrize("seconds", [8, 20])
def test_for_less_than_the_timeout(hosts: Hosts, seconds: int, kind: str) -> None:
    """Nobody is given up, and nothing is done again."""
    before = hosts.machines.addresses()

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        hosts.network.cut(2)
        time.sleep(seconds)
        hosts.network.mend(2)

    hosts.trial.check(f"link cut for {seconds} s, {kind}", disturb, kind)
    assert hosts.machines.addresses() == before


@pytest.mark.parametrize(
    ("hosts", "kind"),
    [*((SHORT, kind) for kind in KINDS), ({}, "file")],
    indirect=["hosts"],
    ids=[*(f"12 s-{kind}" for kind in KINDS), "30 s-file"],
)
def test_for_longer(hosts: Hosts, kind: str) -> None:
    """The other worker does the rest, once this one is given up, which then ends."""
    machines = hosts.machines
    cut_off = next(name for name, address in machines.addresses().items() if f"{NET}.2" in address)

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        hosts.network.cut(2)

    timeout = machines.config.get("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "30s")
    hosts.trial.check(f"link cut for good, timeout {timeout}, {kind}", disturb, kind)
    assert len(machines.addresses()) == 1
    hosts.network.mend(2)
    eventually(lambda: not machines.alive(cut_off), "the end of the worker cut off", 60)


@pytest.mark.parametrize("hosts", [SHORT], indirect=True, ids=["12 s"])
def test_all_links_for_longer(hosts: Hosts) -> None:
    """The fit waits on the scheduler; workers that lost it have ended, and others go on."""
    machines, network = hosts.machines, hosts.network
    gone = [name for name in machines.processes if name != "scheduler"]

    def disturb(job: Job) -> None:
        at_turn(job, 2)
        network.cut(2, 3)
        eventually(lambda: not machines.addresses(), "workers that are given up")
        assert job.status()["state"] == "running"
        network.mend(2, 3)
        machines.ready(hosts.start(4))

    hosts.trial.check("all links cut, timeout 12 s, 1 host added", disturb)
    eventually(lambda: not any(map(machines.alive, gone)), "the end of the workers cut off")
