"""Memory of processes, as Linux accounts for it."""

from __future__ import annotations

from pathlib import Path


def memory(field: str, process: str = "self") -> int:
    """Bytes, of a process and of those that it has started (Spark's is a JVM).

    field : VmRSS, what is resident now, or VmHWM, the most that ever was.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text().split()
    except FileNotFoundError:  # it has ended meanwhile
        return 0
    own = int(status[status.index(f"{field}:") + 1]) * 1024 if f"{field}:" in status else 0
    children = Path(f"/proc/{process}/task").glob("*/children")
    return own + sum(
        memory(field, child) for file in children for child in file.read_text().split()
    )
