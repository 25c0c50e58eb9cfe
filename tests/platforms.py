"""Check the types as macOS and Windows have Python's library: `make dist`.

What a system lacks is an error of mypy, unless the code asks for the system first. Allowed are only the rooms of which
the docs say that they need Linux, or Linux or macOS.
"""

import subprocess
import sys
from tempfile import gettempdir

_LINUX_ONLY = ("balancer/sandbox/local/", "balancer/sandbox/server/")
_UNIX_ONLY = (
    "balancer/cluster/tcp/record_file.py",
    "balancer/commands/serve.py",
    "balancer/commands/proxy.py",
    "balancer/pipeline/",
)
ALLOWED = {"darwin": _LINUX_ONLY, "win32": _LINUX_ONLY + _UNIX_ONLY}


def main() -> None:
    """Print the errors in other rooms, and end with 1 if there are any."""
    found = []
    for platform, allowed in ALLOWED.items():
        cache = f"{gettempdir()}/balancer-mypy-{platform}"
        command = [sys.executable, "-m", "mypy", "--platform", platform, "--cache-dir", cache]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        errors = [line for line in lines if ": error: " in line]
        assert errors, f"{platform}: mypy said nothing of the local sandbox: {lines}"
        found += [f"{platform}: {line}" for line in errors if not line.startswith(allowed)]
        print(f"{platform}: {len(errors)} errors, all but {len(found)} in rooms that it does not have")
    print(*found, sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
