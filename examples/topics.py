"""Topics of the news: latent Dirichlet allocation of documents kept on disk as sparse counts.

395 Reuters articles of the 1990s (4 258 words), which PyPI's `lda` ships. One in eight is kept out:
how well one random half of its words foretells the other tells how many topics there should be, and
whether it pays to learn how common each topic is. The counts are written as CSR arrays in Zarr, and
the best fit is made from there by the workers of a LocalCluster. Run with:

    pip install 'dask-em[plot]' lda
    python topics.py --out pictures
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import numpy as np
from distributed import Client, LocalCluster
from scipy.sparse import csr_array

import dem

PRIORS = {"given": None, "learned": "asymmetric"}


def articles() -> tuple[csr_array, list[str]]:
    """Counts (395, 4258), and the words."""
    from lda.utils import ldac2dtm

    place = files("lda") / "tests"
    with (place / "reuters.ldac").open() as lines:
        counts = csr_array(ldac2dtm(lines, offset=0))
    return counts, (place / "reuters.tokens").read_text().split()


def fit(path: str, k: int, prior: str, passes: int) -> dem.LatentDirichletAllocation:
    """k topics, by whoever does the work: the active client's workers, or here."""
    return dem.LatentDirichletAllocation(
        k,
        doc_topic_prior=PRIORS[prior],
        topic_word_prior="symmetric",
        max_iter=passes,
        random_state=0,
    ).fit(path)


def shares(model: dem.LatentDirichletAllocation) -> np.ndarray:
    """What part of all words each topic has, (K,)."""
    counts = (model.components_ - model.topic_word_prior_).sum(axis=1)
    return counts / counts.sum()


def pictures(
    model: dem.LatentDirichletAllocation,
    words: list[str],
    tried: dict[str, dict[int, float]],
    out: Path,
) -> None:
    """The commonest words of the largest topics, and what the articles kept out say, as PNG."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    order, share = np.argsort(-shares(model)), shares(model)
    topics = model.components_ / model.components_.sum(axis=1, keepdims=True)
    figure, axes = plt.subplots(2, 5, figsize=(14, 7), layout="constrained")
    for ax, k in zip(axes.flat, order, strict=False):
        top = np.argsort(-topics[k])[:10][::-1]
        ax.barh([words[j] for j in top], topics[k, top], color="tab:blue")
        ax.set(title=f"{share[k]:.0%} of the words")
        ax.tick_params(labelsize="small")
    for ax in axes.flat[len(order) :]:
        ax.set_axis_off()
    figure.savefig(out / "topics.png", dpi=100)
    plt.close(figure)

    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    for prior, found in tried.items():
        ax.plot(list(found), list(found.values()), marker=".", label=f"α {prior}")
    ax.set(xlabel="topics", ylabel="perplexity of the other half of an article kept out")
    ax.legend()
    figure.savefig(out / "how_many.png", dpi=100)
    plt.close(figure)


def main(numbers: list[int], passes: int, workers: int, out: Path) -> dem.LatentDirichletAllocation:
    """Zarr, cluster, fits, what foretells best, pictures."""
    counts, words = articles()
    kept_out = np.arange(counts.shape[0]) % 8 == 0
    path, rest = str(out / "counts.zarr"), counts[kept_out]
    dem.write_csr(path, [counts[~kept_out]], counts.shape[1])
    tried: dict[str, dict[int, float]] = {prior: {} for prior in PRIORS}
    for prior, found in tried.items():
        for k in numbers:
            found[k] = fit(path, k, prior, passes).completion_perplexity(rest)
    _, k, prior = min((found[k], k, prior) for prior, found in tried.items() for k in found)
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**local, host="127.0.0.1") as cluster, Client(cluster):
        best = fit(path, k, prior, passes)  # from the same seed, so to the same bits
    print(f"{counts.shape[0]} articles, {int(counts.sum())} words")
    for prior, found in tried.items():
        listed = ", ".join(f"{k}: {value:.0f}" for k, value in found.items())
        print(f"α {prior:8} perplexity of the other halves by number of topics: {listed}")
    order = np.argsort(-shares(best))
    top = best.top_words(8, words)
    print(f"\n{best.n_components} topics, {best.n_iter_} reads of the data")
    for k in order:
        print(f"{shares(best)[k]:4.0%}  {' '.join(top[k])}")
    pictures(best, words, tried, out)
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-k", type=int, nargs="+", default=[5, 10, 20], help="topics to try")
    parser.add_argument("--passes", type=int, default=20, help="over the articles  [20]")
    parser.add_argument("--workers", type=int, default=2, help="[2]")
    parser.add_argument("--out", type=Path, help="where pictures and counts go  [not kept]")
    options = parser.parse_args()
    if options.out is None:
        with tempfile.TemporaryDirectory() as scratch:
            main(options.k, options.passes, options.workers, Path(scratch))
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        main(options.k, options.passes, options.workers, options.out)
