"""Tasks that wait for one worker, though others could do them, go to those.

Dask leaves two kinds of them waiting, and a pass with them, perhaps for ever. A worker that is
short of memory is paused: it ends what it has begun, and begins nothing else, but tasks are taken
from it only while it has more of them than threads. And tasks that had best be done by a worker
that died, at a moment at which there was no other, are not given to those that join later.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from distributed import Status


def relieve(scheduler: Any, prefix: str) -> None:
    """Hand the tasks whose keys begin so, if they wait like this and have not begun, to others.

    To be called on the scheduler's event loop, now and then.
    """
    if not scheduler.running:
        return
    for worker in tuple(scheduler.workers.values()):
        if worker.status == Status.paused:
            for task in tuple(worker.processing):
                if task.group_key.startswith(prefix):
                    idlest = min(scheduler.running, key=lambda other: other.occupancy)
                    scheduler.extensions["stealing"].move_task_request(task, worker, idlest)
    left = [
        task
        for task in scheduler.unrunnable
        if task.loose_restrictions and task.group_key.startswith(prefix)
    ]
    if left:
        # The last is transitioned first.
        left.sort(key=lambda task: task.priority, reverse=True)
        moved = {task.key: "processing" for task in left}
        scheduler.transitions(moved, f"dem-relief-{uuid4().hex}")
