"""The example of `balancer init --example` is made of the problems, rows and answers beside it."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from tests.contracts.documents import ROOT

_FOLDER = ROOT / "examples" / "start"
_BY_HAND = {"README.md", "balancer.toml", "rows.toml", "scenario.toml"}


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_it_is_what_build_py_makes(tmp_path: Path) -> None:
    spec = spec_from_file_location("start_build", _FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    build.main(tmp_path)
    kept = _files(_FOLDER / "files")
    assert {name: text for name, text in kept.items() if name not in _BY_HAND} == _files(tmp_path)
    assert kept.keys() >= _BY_HAND
