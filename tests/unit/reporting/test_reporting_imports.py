"""What is cheap to import stays so: most commands write no report."""

import subprocess
import sys


def _loaded(imports: str) -> set[str]:
    code = f"import sys, {imports}; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_loads_neither_templates_nor_plots() -> None:
    assert not {"matplotlib", "jinja2"} & _loaded("balancer, balancer.reporting")


def test_only_what_draws_loads_matplotlib_and_only_pages_load_the_template_engine() -> None:
    names = "document", "files", "markdown", "terminal", "words"
    assert not {"matplotlib", "jinja2"} & _loaded(", ".join(f"balancer.reporting.{name}" for name in names))
    assert "matplotlib" not in _loaded("balancer.reporting.html")
    assert "matplotlib" in _loaded("balancer.reporting.style")
