"""`dem fit`: from data to a model on disk."""

from __future__ import annotations

import time
from typing import Any

import click

from dem.cli.options import cluster, cluster_options, debug_option, quiet_option, weights_option
from dem.cli.outcome import Interrupted
from dem.cli.tables import figures

MODELS = ("gaussian-mixture", "k-means")
COVARIANCES = ("full", "tied", "diag", "spherical")
STARTS = ("k-means||", "k-means++", "kmeans", "random", "random_from_data")
POSTERIORS = ("exact", "hard")

# The estimators' names of the options that not every model has.
MIXTURE_ONLY = {
    "covariance": "covariance_type",
    "reg_covar": "reg_covar",
    "posterior": "posterior",
    "checkpoint": "checkpoint",
}


@click.command()
@click.argument("data")
@click.option(
    "--model",
    type=click.Choice(MODELS),
    default=MODELS[0],
    show_default=True,
    help="What to fit.",
)
@click.option("-k", "k", type=click.IntRange(min=1), required=True, help="Number of components.")
@click.option(
    "--covariance", type=click.Choice(COVARIANCES), help="Form of the covariances.  [full]"
)
@click.option("--out", metavar="MODEL", help="Where to keep the model: a directory or URL.")
@click.option("--tol", type=click.FloatRange(min=0), help="Stop at smaller changes.  [0.001; 1e-4]")
@click.option("--max-iter", type=click.IntRange(min=1), help="Turns at most.  [100; k-means 300]")
@click.option("--reg-covar", type=click.FloatRange(min=0), help="Added to the variances.  [1e-06]")
@click.option("--init", type=click.Choice(STARTS), help="Where to begin.  [k-means||]")
@click.option("--n-init", type=click.IntRange(min=1), help="Starts; the best one is kept.  [1]")
@click.option("--posterior", type=click.Choice(POSTERIORS), help="The E-step.  [exact]")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="All that is random comes from it.",
)
@click.option("--checkpoint", metavar="PLACE", help="Keep the fit here once a minute.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one.")
@weights_option
@cluster_options
@quiet_option
@debug_option
def fit(
    data: str,
    model: str,
    k: int,
    out: str | None,
    weights: str | None,
    scheduler: str | None,
    workers: int | None,
    threads: int | None,
    quiet: bool,
    resume: bool,
    **options: Any,
) -> None:
    """Fit a model to DATA.

    Ctrl-C ends the fit and keeps the model of the last turn. With --checkpoint and --resume the
    same command begins a fit and, however often it was cut off, takes it up again; the options
    that describe the fit are then those of the checkpoint.
    """
    checkpoint = options["checkpoint"]
    if resume and checkpoint is None:
        raise click.UsageError("--resume needs --checkpoint PLACE to go on from.")
    estimator = _estimator(model, k, {n: v for n, v in options.items() if v is not None})
    from dem.checkpoint import exists
    from dem.cli.watch import Watch
    from dem.engine.manifest import open_data
    from dem.report.progress import Progress, Silent
    from dem.store import check_target, save

    # Whatever can be refused is refused before an hour of fitting.
    if out is None:
        click.echo("Note: the model will not be kept; --out MODEL says where to.", err=True)
    else:
        check_target(out)
    rows, columns = (m := open_data(data, weights=weights)).n_rows, m.n_columns
    watch = Watch(Silent() if quiet else Progress())
    estimator.set_params(verbose=watch)
    with cluster(scheduler, workers, threads, quiet):
        began = time.perf_counter()
        try:
            if resume and exists(checkpoint):
                estimator = type(estimator).resume(checkpoint, data, weights, verbose=watch)
            else:
                estimator.fit(data, sample_weight=weights)
        except KeyboardInterrupt as error:
            raise Interrupted("no turn was complete, so nothing was written.") from error
        seconds = time.perf_counter() - began
        if out is not None:
            save(estimator, out)
    click.echo(
        figures(
            {
                "rows": f"{rows:,}",
                "columns": f"{columns:,}",
                "turns": f"{estimator.n_iter_}",
                "converged": "yes" if getattr(estimator, "converged_", watch.converged) else "no",
                **_objective(estimator, rows),
                "passes": f"{estimator.n_passes_:.3g}",
                "seconds": f"{seconds:.3g}",
                "model": out or "not kept",
            }
        )
    )
    if watch.interrupted:
        kept = f"was written to {out}" if out else "was not kept"
        raise Interrupted(f"the model of turn {estimator.n_iter_} {kept}.")


def _estimator(model: str, k: int, options: dict[str, Any]) -> Any:
    """The estimator of these options, those that were not given left to its own defaults."""
    seed = options.pop("seed")
    if model == "k-means":
        for name in MIXTURE_ONLY:
            if name in options:
                raise click.UsageError(f"k-means has no --{name.replace('_', '-')}.")
        from dem.estimators import KMeans

        return KMeans(k, random_state=seed, **options)
    names = {**MIXTURE_ONLY, "init": "init_params"}
    from dem.estimators import GaussianMixture

    arguments = {names.get(name, name): value for name, value in options.items()}
    return GaussianMixture(k, random_state=seed, **arguments)


def _objective(estimator: Any, rows: int) -> dict[str, str]:
    """What the fit has made as good as it could."""
    if hasattr(estimator, "inertia_"):
        return {"inertia per row": f"{estimator.inertia_ / rows:.8g}"}
    return {"bound per row": f"{estimator.lower_bound_:.8g}"}
