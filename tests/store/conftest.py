import uuid
from pathlib import Path

import pytest


@pytest.fixture(params=["path", "URL"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to write: a path and a URL in turn."""
    if request.param == "path":
        return str(tmp_path / "model")
    return f"memory://{uuid.uuid4().hex}/model"
