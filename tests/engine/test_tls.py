"""A cluster that speaks to those alone who have its certificate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

import dem

pytest.importorskip("cryptography")
X = np.random.default_rng(4).normal(size=(20_000, 2))
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def security(tmp_path: Path) -> Security:
    """Certificates in files, one for each role, as on a cluster that was set up with them."""
    made = Security.temporary()
    paths = {}
    for name in ("tls_ca_file", "tls_scheduler_key", "tls_scheduler_cert"):
        paths[name] = str(tmp_path / name)
        Path(paths[name]).write_text(getattr(made, name))
    key, cert = paths["tls_scheduler_key"], paths["tls_scheduler_cert"]
    return Security(
        require_encryption=True,
        **paths,
        tls_worker_key=key,
        tls_worker_cert=cert,
        tls_client_key=key,
        tls_client_cert=cert,
    )


@pytest.fixture
def client(security: Security) -> Iterator[Client]:
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(security=security, **options) as cluster, Client(cluster) as client:
        yield client


def test_fits_under_tls(client: Client, tmp_path: Path) -> None:
    assert client.scheduler.address.startswith("tls://")
    np.save(tmp_path / "x.npy", X)
    model, how = dem.Mixture(2, dem.Gaussian()), {"max_iter": 4, "tol": 0.0}
    job = dem.submit(model, tmp_path / "x.npy", **how)
    bounds = [record.bound for record in job.result(30).history]
    assert [record.bound for record in dem.fit(model, tmp_path / "x.npy", **how).history] == bounds
    assert {run["state"] for run in dem.runs()} == {"done"}


def test_a_scheduler_that_has_its_own_certificate_alone(client: Client) -> None:
    def without(dask_scheduler) -> None:  # type: ignore[no-untyped-def]
        security = dask_scheduler.security
        security.tls_client_key = security.tls_client_cert = None

    client.run_on_scheduler(without)
    assert len(dem.fit(dem.Mixture(2, dem.Gaussian()), X, max_iter=2, tol=0.0).history) == 2
