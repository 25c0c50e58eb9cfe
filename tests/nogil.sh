#!/usr/bin/env bash
# Run the tests of threads and the properties on a Python without its global lock, if one can be had: NOGIL, one on the
# path, or one that uv fetches. Where there is none it says so, and is no failure. Its argument: where to make the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv-nogil}

python=${NOGIL:-$(command -v python3.14t || command -v python3.13t || true)}
if [ -z "$python" ] && command -v uv >/dev/null && uv python install -q 3.14t 2>/dev/null; then
    python=$(uv python find 3.14t)
fi
if [ -z "$python" ]; then
    echo "no Python without the global lock is to be had here: there is no python3.14t or python3.13t, and uv fetches none."
    echo "What threads do was not tried without the lock; with one: make test-nogil NOGIL=/path/to/python3.14t"
    exit 0
fi

"$python" -m venv --clear "$venv"
# Rather an older wheel than a build: not every package has a wheel for such a Python yet.
"$venv/bin/python" -m pip install -q --prefer-binary '.[testing,simulator]' 'pytest>=8.3,<10' 'pytest-timeout>=2.3,<3' 'pytest-xdist>=3.6,<4'
# What was installed is what runs: no module that needs the lock may have switched it on.
"$venv/bin/python" -X gil=0 - <<'END'
import sys

import balancer

balancer.Pool(["a"])
print("Python", sys.version.split()[0], "with the lock" if sys._is_gil_enabled() else "without the global lock")
END
# frontrun has no wheel for it, and lets one thread at a time run anyhow.
"$venv/bin/python" -X gil=0 -m pytest -n 2 --dist loadgroup tests/threads tests/properties \
    --ignore=tests/threads/test_interleavings.py
