"""`dem select`: which number of components, states, factors or topics, and which covariances."""

from __future__ import annotations

import json
from typing import Any

import click

from dem.cli.options import (
    cluster,
    cluster_options,
    debug_option,
    json_option,
    quiet_option,
    sequence_options,
    weights_option,
)
from dem.cli.outcome import ENDING, Interrupted
from dem.cli.recipe import (
    COVARIANCES,
    MODELS,
    NO_CHOICE,
    SHARED,
    candidates_of,
    sequences_of,
)
from dem.cli.say import observer
from dem.cli.tables import table

CRITERIA = ("bic", "aic", "icl", "held_out", "bound")


class Numbers(click.ParamType):
    """Whole numbers from 1: "3", "1-20", "1,2,4-6"."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        found: set[int] = set()
        for part in str(value).split(","):
            first, _, last = part.partition("-")
            if not first.isdigit() or (last and not last.isdigit()) or part.endswith("-"):
                self.fail(f"{value!r} is not like 3, 1-20 or 1,2,4-6", param, ctx)
            found.update(range(int(first), int(last or first) + 1))
        if not found or min(found) < 1:
            self.fail(f"{value!r} has no numbers from 1 on", param, ctx)
        return tuple(sorted(found))


class Forms(click.ParamType):
    """Forms of covariance, with commas between."""

    name = "forms"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        forms = tuple(dict.fromkeys(str(value).split(",")))
        if wrong := [form for form in forms if form not in COVARIANCES + SHARED]:
            self.fail(f"{wrong[0]!r} is none of {', '.join(COVARIANCES + SHARED)}", param, ctx)
        return forms


@click.command()
@click.argument("data")
@click.option("--model", type=click.Choice([m for m in MODELS if m not in NO_CHOICE]),
              default=next(iter(MODELS)), show_default=True, help="What to fit.")  # fmt: skip
@click.option("-k", "ks", type=Numbers(), required=True,
              help="Components, states, factors or topics, such as 1-20.")  # fmt: skip
@click.option("--covariance", "forms", type=Forms(),
              help="Forms of the covariances, such as full,diag.  [full]")  # fmt: skip
@click.option("--factors", type=Numbers(), help="Gaussian components are factor analysers with so "
              "many factors, such as 1-5.")  # fmt: skip
@click.option("--criterion", type=click.Choice(CRITERIA),
              help="What to choose by.  [bic; of topics, bound]")  # fmt: skip
@click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), default=0.0,
              help="A share of the rows, or sequences, that no model is fitted to.")  # fmt: skip
@click.option("--restarts", type=click.IntRange(min=1), default=5, show_default=True,
              help="Starts of each model, on a sample of the rows.")  # fmt: skip
@click.option("--tol", type=click.FloatRange(min=0), default=1e-5, show_default=True,
              help="Stop a model when less is left to gain, in nats per row.")  # fmt: skip
@click.option("--max-iter", type=click.IntRange(min=1), default=200, show_default=True,
              help="Turns of each model at most.")  # fmt: skip
@click.option("--reg-covar", type=click.FloatRange(min=0),
              help="Added to the variances.  [1e-06]")  # fmt: skip
@click.option("--missing", flag_value=True, default=None,
              help="NaN is a missing value of Gaussian models.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="All that is random comes from it.")  # fmt: skip
@click.option("--out", metavar="MODEL", help="Where to keep the best: a directory or URL.")
@click.option("--overwrite", is_flag=True, help="Replace the model that is there.")
@click.option("--checkpoint", metavar="PLACE", help="Keep the fits here once a minute.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one.")
@weights_option
@sequence_options
@cluster_options
@json_option
@quiet_option
@debug_option
@click.pass_context
def select(
    ctx: click.Context,
    /,
    data: str,
    model: str,
    ks: tuple[int, ...],
    forms: tuple[str, ...] | None,
    factors: tuple[int, ...] | None,
    reg_covar: float | None,
    missing: bool | None,
    out: str | None,
    overwrite: bool,
    checkpoint: str | None,
    resume: bool,
    weights: str | None,
    lengths: str | None,
    groups: str | None,
    scheduler: str | None,
    workers: int | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Fit models of several sizes to DATA on shared reads, and find the best.

    With --resume all that says what to fit is that of the checkpoint.
    """
    if resume and checkpoint is None:
        raise click.UsageError("--resume needs --checkpoint PLACE to go on from.")
    known = sequences_of(model, lengths, groups)
    lists = {"covariance": forms, "factors": factors}
    given = {"reg_covar": reg_covar, "missing": missing}
    estimators = candidates_of(model, ks, lists, given)
    import dem
    from dem import checkpoint as checkpoints
    from dem.cli.target import check_apart, check_model
    from dem.cli.watch import Watch
    from dem.store.place import Place
    from dem.table import Selected

    read = [path for path in (data, weights) if path is not None]
    if checkpoint is not None:
        check_apart(Place.of(checkpoint), read)
    again = resume and checkpoint is not None and checkpoints.exists(checkpoint)
    if out is not None:
        check_model(out, overwrite or again, keep=[*read, checkpoint] if checkpoint else read)
    watch = Watch(observer(quiet or as_json), ctx.meta.get(ENDING))
    for estimator in estimators.values():
        estimator._check()
    first = next(iter(estimators.values()))
    _, manifest = first._asked(data, weights, **known)
    models = {}
    for name, estimator in estimators.items():
        first.set_params(**estimator.get_params(deep=False))  # it knows the levels of the columns
        models[name] = getattr(first, "_probabilistic", first._model)(manifest)
    done = "no read was complete, so nothing was written."
    try:
        with cluster(scheduler, workers, threads, quiet or as_json):
            found: Any
            if again and checkpoint is not None:
                found = dem.resume(checkpoint, manifest, observer=watch)
            else:
                if resume and checkpoint is not None:
                    checkpoints.abandon(checkpoint)
                found = dem.select(
                    models, manifest, observer=watch, checkpoint=checkpoint, **options
                )
    except KeyboardInterrupt as error:
        raise Interrupted(done) from error
    if not isinstance(found, Selected):
        raise click.ClickException(f"{checkpoint} is the checkpoint of a fit: use `dem fit`.")
    winner = found.table[found.best]
    if out is not None:
        kept = type(first)
        looks = hasattr(first, "impute") or getattr(first, "sparse", False)  # at the data, too
        dem.save(kept.from_fit(found.fit, data) if looks else kept.from_fit(found.fit), out)
    click.echo(_json(found) if as_json else _text(found, out))
    if found.interrupted:
        raise Interrupted(f"{winner.name} was the best so far" + (f"; it is at {out}." * bool(out)))


def _json(found: Any) -> str:
    rows = [
        {name: None if value != value else value for name, value in row._asdict().items()}  # NaN
        | {"given_up": fit.interrupted}
        for row, fit in _pairs(found)
    ]
    return json.dumps(
        {"best": found.table[found.best].name, "n_passes": found.n_passes, "table": rows}
    )


def _pairs(found: Any) -> list[tuple[Any, Any]]:
    return list(zip(found.table, found.fits, strict=True))


def shown(found: Any) -> str:
    """The table in plain text."""
    header = ["model", "parameters", "log-likelihood", "bic", "aic", "icl"]
    header += ["held out", "bound", "turns", ""]
    rows = []

    def short(value: float) -> str:
        return "" if value != value else f"{value:.1f}"  # NaN

    for i, (row, fit) in enumerate(_pairs(found)):
        end = "given up" if fit.interrupted else "" if row.converged else "not converged"
        rows.append(
            [
                row.name, str(row.n_parameters),
                *map(short, (row.log_likelihood, row.bic, row.aic, row.icl)),
                f"{row.held_out:.5f}", short(row.bound), str(row.turns),
                "best" if i == found.best else end,
            ]
        )  # fmt: skip
    return table(header, rows, 200)


def _text(found: Any, out: str | None) -> str:
    kept = f"; it is at {out}" if out else ""
    last = f"{found.table[found.best].name} is the best by {found.criterion}"
    return f"{shown(found)}\n\n{last}, after {found.n_passes:.3g} passes over the data{kept}."
