"""Libraries on JAX and on PyTorch."""

from __future__ import annotations

import os

import numpy as np

from runners.task import Fit, Found, Task, refuse


def gmmx(task: Task) -> Fit:
    import jax
    from gmmx import EMFitter, GaussianMixtureModelJax
    from gmmx.gmm import CovarianceType

    refuse(task.covariance not in ("full", "diag"), "full and diagonal covariances only")
    refuse(task.rows.dtype != np.float32, "float32 only")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.threads])
    rows = jax.device_put(task.rows)
    start = GaussianMixtureModelJax.from_squeezed(
        means=task.means, covariances=task.covariances, weights=task.weights,
        covariance_type=CovarianceType(task.covariance),
    )  # fmt: skip

    def fit(n: int) -> Found:
        done = EMFitter(max_iter=n, tol=0.0, reg_covar=0.0).fit(rows, start)
        return {
            "weights": np.asarray(done.gmm.weights_numpy),
            "means": np.reshape(done.gmm.means, task.means.shape),
            "covariances": np.reshape(done.gmm.covariances.values, task.covariances.shape),
            "iterations": int(done.n_iter),
        }

    return fit


def pomegranate(task: Task) -> Fit:
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    refuse(task.covariance not in ("full", "diag"), "full and diagonal covariances only")
    torch.set_num_threads(task.threads)
    torch.set_default_dtype(torch.float32 if task.rows.dtype == np.float32 else torch.float64)
    rows = torch.from_numpy(task.rows)

    def fit(n: int) -> Found:
        components = [
            # Copies, since they are changed in place.
            Normal(torch.tensor(mean), torch.tensor(table), covariance_type=task.covariance)
            for mean, table in zip(task.means, task.covariances, strict=True)
        ]
        done = GeneralMixtureModel(
            components, priors=torch.tensor(task.weights), max_iter=n, tol=-float("inf")
        )
        for _ in range(n):  # in parts, its documented way for data of any size, and the faster one
            for part in rows.split(8192):
                done.summarize(part)
            done.from_summaries()
        return {
            "weights": done.priors.numpy(),
            "means": np.stack([one.means.numpy() for one in done.distributions]),
            "covariances": np.stack([one.covs.numpy() for one in done.distributions]),
        }

    return fit
