"""Execute the notebooks: each `NAME.py` (jupytext, percent format) becomes `NAME.ipynb` with its outputs.

    python notebooks/build.py                       # all of them, in full
    python notebooks/build.py 03_capacity           # one
    python notebooks/build.py --short --check       # what CI does: small, and nothing is written

Decides how they are run and what of a run is kept: what would differ from one run to the next (times, progress,
versions) is not. Needs no kernel to be installed: the Python that runs this runs them.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
LONGEST_CELL_S = 900


class OwnPython(AsyncKernelManager):
    """Starts a kernel with the Python that runs this, whatever kernels are installed."""

    def __init__(self, **traits: Any) -> None:
        # Sockets in a folder of its own, not TCP: nobody else can listen, and both ends find them whatever their folder.
        self.sockets = tempfile.TemporaryDirectory(prefix="balancer-")
        super().__init__(**traits, transport="ipc", ip=f"{self.sockets.name}/kernel")

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def sources(names: Sequence[str]) -> list[Path]:
    """Return the scripts of these notebooks, or of all. Raises SystemExit if there is no such notebook."""
    found = {path.stem: path for path in sorted(FOLDER.glob("[0-9]*.py"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SystemExit(f"there is no notebook {unknown[0]!r} (there are: {', '.join(found)})")
    return [found[name] for name in names or found]


def executed(source: Path) -> NotebookNode:
    """Return the notebook with its outputs. Raises CellExecutionError."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # else it is random
    client = NotebookClient(
        notebook,
        timeout=LONGEST_CELL_S,
        record_timing=False,
        kernel_manager_class=OwnPython,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    return kept(notebook)


def kept(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs from run to run: progress, and the version of Python."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    return notebook


def build(source: Path, *, check: bool) -> str | None:
    """Execute one notebook and, unless it is only a check, write it; return what went wrong, or None."""
    started_s = time.monotonic()
    print(f"{source.stem} ...", end=" ", flush=True)
    try:
        notebook = executed(source)
    except CellExecutionError as error:
        print("failed")
        return f"{source.name}: {error}"
    if not check:
        nbformat.write(notebook, source.with_suffix(".ipynb"))
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{cells} cells, {time.monotonic() - started_s:.0f} s", flush=True)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the notebooks that are asked for; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="which ones, e.g. 03_capacity; default: all")
    parser.add_argument("--short", action="store_true", help="small numbers: seconds instead of minutes")
    parser.add_argument("--check", action="store_true", help="execute, but write nothing")
    options = parser.parse_args(arguments)
    if options.short and not options.check:
        parser.error("--short is for --check: the notebooks that are kept have the full numbers")
    os.environ["BALANCER_NOTEBOOKS"] = "short" if options.short else "full"
    failures = [failure for source in sources(options.names) if (failure := build(source, check=options.check))]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
