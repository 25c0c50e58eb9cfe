"""Try a plain install, in an environment that has no other: `make dist`. Prints what it weighs.

Needs no test library, as there is none. Ends with an AssertionError that says what is not as promised.
"""

import subprocess
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory


def balancer(*arguments: str, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "balancer", *arguments], cwd=folder, capture_output=True, text=True)


def main() -> None:
    """Try the pool, the strategies and the command, and each command whose extra is missing."""
    from balancer import Endpoint, Pool
    from balancer.plugins import Registry
    from balancer.plugins.extras import EXTRAS

    absent = {module for modules in EXTRAS.values() for module in modules}
    found = sorted(filter(find_spec, absent))
    assert not found, f"a plain install brings {found}"
    registry = Registry()
    assert not registry.broken, registry.broken
    for name in registry.strategies:
        with Pool([Endpoint("http://a/")], strategy=name).lease(timeout=0) as lease:
            assert lease.endpoint.url == "http://a/"
    with TemporaryDirectory() as folder:
        for arguments in (["--version"], ["strategies"]):
            said = balancer(*arguments, folder=folder)
            assert said.returncode == 0, said
        said = balancer("init", "--example", folder=folder)
        assert said.returncode == 0, said
        assert len([*Path(folder, "balancer-example").rglob("*.*")]) > 20
        for command, extra in (("simulate", "simulator"), ("demo", "observe")):
            said = balancer(command, *(["no.toml"] if extra == "simulator" else []), folder=folder)
            assert said.returncode == 2, said
            assert f"needs the extra {extra!r}" in said.stderr, said
            assert len(said.stderr.splitlines()) == 1, said
    installed = [each for each in distributions() if each.name != "pip"]
    files = {Path(str(file.locate())) for each in installed for file in each.files or ()}
    size = sum(file.stat().st_size for file in files if file.is_file())
    names = " ".join(sorted(each.name for each in installed))
    print(f"a plain install is {len(installed)} distributions, {size / 2**20:.1f} MiB: {names}")


if __name__ == "__main__":
    main()
