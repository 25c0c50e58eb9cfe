"""Private parts of libraries that we enter: each is where we look for it, and its library has an upper bound."""

import tomllib
from importlib import import_module, metadata

import pytest
from packaging.requirements import Requirement

from balancer.transports.time_bound import bind
from tests.contracts.documents import ROOT


@pytest.mark.parametrize(("extra", "library"), [("transports", "httpx2"), ("dev", "httpx")])
def test_the_network_backend_of_httpx_can_be_bound_by_a_deadline(extra, library):
    inner = import_module(library).HTTPTransport()
    bind(inner)
    assert type(inner._pool._network_backend).__module__ == bind.__module__
    inner.close()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = map(Requirement, project["optional-dependencies"][extra])
    (bounds,) = (each.specifier for each in needs if each.name == library)
    assert metadata.version(library) in bounds
    assert "999" not in bounds
