"""The example of digits: what is missing of images, by factor analysis and a mixture."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PATH = Path(__file__).parents[1] / "examples" / "digits.py"


def test_holes_are_filled_in(tmp_path: Path) -> None:
    spec = spec_from_file_location(PATH.stem, PATH)
    assert spec is not None
    assert spec.loader is not None
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    errors = example.main(6, 4, tmp_path)
    plain, one, several = errors.values()
    assert plain > one > several
    assert {path.name for path in tmp_path.iterdir()} == {"filled.png", "factors.png"}
