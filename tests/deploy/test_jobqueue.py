"""The example of dask-jobqueue: the jobs that it would submit."""

import runpy
import shutil
import subprocess

import pytest

from manifests import DEPLOY

SCHEDULER = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}


def test_its_jobs_are_scripts_that_slurm_would_take() -> None:
    example = runpy.run_path(str(DEPLOY / "slurm" / "jobqueue.py"))
    with example["cluster"](scheduler_options=SCHEDULER) as cluster:
        script = cluster.job_script()
    told = [line.removeprefix("#SBATCH ") for line in script.splitlines() if "#SBATCH" in line]
    assert {"--requeue", "-t 04:00:00", "--cpus-per-task=16"} <= set(told)
    assert "export OPENBLAS_NUM_THREADS=1" in script
    assert "--lifetime 230m" in script


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_batch_script_can_be_parsed() -> None:
    script = DEPLOY / "slurm" / "fit.sbatch"
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = script.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])  # they would be ignored
