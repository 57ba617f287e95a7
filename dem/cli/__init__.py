"""The command line: `dem fit`, `dem select`, `dem predict`, `dem score`, `dem show`, `dem submit`
and what follows it, `dem demo`.

Only click is imported here: what a command needs is imported when it runs, so that `dem --help`
answers at once.
"""

import click

import dem
from dem.cli.demo import demo
from dem.cli.fit import fit
from dem.cli.jobs import attach, cancel, runs, submit
from dem.cli.options import debug_option
from dem.cli.outcome import Commands
from dem.cli.predict import predict
from dem.cli.say import log_json_option
from dem.cli.score import score
from dem.cli.select import select
from dem.cli.show import show

__all__ = ["main"]

EPILOG = """
\b
Exit codes:
    0  done (a fit that did not converge says so in a warning)
    1  an error that will come again: the data, a path, the memory
    2  the command line was wrong
   75  a fault that may pass: the scheduler is lost, a store does not answer; run it again
  130  interrupted by Ctrl-C; `dem fit` keeps the model of the last turn
  143  the same by SIGTERM, as Slurm and Kubernetes send it

DATA is the path or URL of a Zarr array (PLACE::NAME reaches into a group), a .npy file, or
Parquet.
"""


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(dem.__version__, prog_name="dem")
@debug_option
@log_json_option
def main() -> None:
    """Fit latent-variable models to data of any size by Expectation-Maximisation.

    Data are read chunk by chunk, by threads in this process, by worker processes on this machine
    (--workers) or by the workers of a Dask scheduler (--scheduler).
    """


for command in (fit, select, predict, score, show, submit, attach, runs, cancel, demo):
    main.add_command(command)
