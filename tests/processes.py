"""Python in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import dem


def environment(**config: str) -> dict[str, str]:
    """That of this process, and so that another one can import dem and the helpers of the tests.

    dem is the one that was imported here: the installed one, or that of the checkout.
    """
    paths = [str(Path(dem.__file__).parents[1]), str(Path(__file__).parent)]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **config}


def python(*arguments: str, cwd: Path, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """What came of it, whatever its exit code."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
