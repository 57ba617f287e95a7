"""A cluster of Slurm jobs for a notebook, by dask-jobqueue: `pip install dask-jobqueue`.

The fit lives on the scheduler, here the process that runs this: keep it alive (tmux, a job of its
own), or use `fit.sbatch`. Workers come and go as Slurm has room.

    python deploy/slurm/jobqueue.py /project/x.zarr /project/model /project/kept
"""

import signal
import sys

from dask_jobqueue import SLURMCluster

import dem
from dem import checkpoint as checkpoints

ENVIRONMENT = [
    "export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1",
    "export MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=33554432",
]


def cluster(**settings: object) -> SLURMCluster:
    """Workers of 16 threads, a process each, that end in good order before their time is up."""
    how = {
        "cores": 16,
        "processes": 1,
        "memory": "60GB",
        "walltime": "04:00:00",
        "job_extra_directives": ["--requeue", "--open-mode=append"],
        "job_script_prologue": ENVIRONMENT,
        "worker_extra_args": ["--lifetime", "230m", "--lifetime-stagger", "10m"],
        "local_directory": "$TMPDIR",
    }
    return SLURMCluster(**(how | settings))


def main(data: str, model: str, checkpoint: str) -> None:
    # dask-jobqueue makes Ctrl-C an exit as it is imported: a fit would not end with what it has.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with cluster() as workers, workers.get_client():
        # Not far below the most: at the end of each turn all workers are idle for a moment.
        workers.adapt(minimum_jobs=4, maximum_jobs=8)
        if checkpoints.exists(checkpoint):
            mixture = dem.GaussianMixture.resume(checkpoint, data)
        else:
            mixture = dem.GaussianMixture(10, checkpoint=checkpoint).fit(data)
    dem.save(mixture, model)


if __name__ == "__main__":
    main(*sys.argv[1:])
