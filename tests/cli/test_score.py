"""`dem score` with what it tells of components and parameters."""

import json

import dem as library
from dem.store import load


def test_components_and_errors(dem, data, tmp_path) -> None:
    dem(f"fit {data['parquet']} -k 3 --seed 0 --tol 1e-9 --out model -q")
    model = load(str(tmp_path / "model"))
    path = str(data["parquet"])
    said = json.loads(dem(f"score model {path} --components --errors --json").output)
    classes = library.summarise(model, path).classes
    assert said["components"] == [row._asdict() for row in classes]
    assert [row["share"] for row in said["components"]] == [row.share for row in classes]
    table = library.standard_errors(model, path).table()
    assert [row["error"] for row in said["parameters"]] == [row.error for row in table]
    assert said["parameters"][3]["place"] == ["width"]
    text = dem(f"score model {path} --components --errors").output
    assert "component" in text
    assert "certainty" in text
    assert f"{table[3].value:.6g}" in text


def test_of_one_component_the_weight_is_no_number_in_json(dem, data) -> None:
    dem(f"fit {data['npy']} -k 1 --seed 0 --out model -q")
    said = json.loads(dem(f"score model {data['npy']} --errors --json").output)
    assert said["parameters"][0] == {
        "name": "weights", "component": 0, "place": [], "value": 1.0, "error": None,
        "lower": None, "upper": None,
    }  # fmt: skip


def test_k_means_has_neither(dem, data) -> None:
    dem(f"fit {data['npy']} --model k-means -k 3 --seed 0 --out model -q")
    said = dem(f"score model {data['npy']} --components", code=2).output
    assert "must be a fitted estimator of a mixture" in " ".join(said.split())
