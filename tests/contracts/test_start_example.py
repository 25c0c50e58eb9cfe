"""The archive of `balancer init --example` has the problems, rows and answers of examples/."""

from importlib.util import module_from_spec, spec_from_file_location
from zipfile import ZipFile

from tests.contracts.documents import ROOT


def test_it_is_what_build_py_makes():
    spec = spec_from_file_location("start_build", ROOT / "examples" / "start" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    with ZipFile(build.PACKED) as archive:
        packed = {name: archive.read(name).decode() for name in archive.namelist()}
    assert packed == build.files(), "run: python examples/start/build.py"
