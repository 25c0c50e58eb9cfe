"""What is cheap to import stays so: most commands write no report."""

import subprocess
import sys


def _loaded(imports: str) -> set[str]:
    code = f"import sys, {imports}; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_only_pages_load_the_template_engine_and_only_drawing_loads_matplotlib():
    names = "charts", "document", "files", "terminal", "words"
    assert not {"jinja2", "matplotlib", "numpy"} & _loaded(", ".join(f"balancer.reporting.{name}" for name in names))
    assert "jinja2" in _loaded("balancer.reporting.html")
