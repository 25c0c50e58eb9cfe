"""Execute the notebooks: each `NAME.py` (jupytext, percent format) becomes `NAME.ipynb` with its outputs.

    python notebooks/build.py                       # all of them, in full
    python notebooks/build.py 03_capacity           # one
    python notebooks/build.py --short --check       # what CI does: small, and nothing is written

Decides how they are run, what counts as a failure (an error, or a word on standard error) and what of a run is kept:
what would differ from one run to the next (times, progress, versions) is not. The answer, which the last cell works
out, is put below the question as well: who reads a notebook wants that first. Needs no kernel to be installed: the
Python that runs this runs them.
"""

import argparse
import os
import re
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
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

FOLDER = Path(__file__).resolve().parent
LONGEST_CELL_S = 900
# What a progress display says of a run that takes long; how often depends on the machine.
PROGRESS = re.compile(r"(\d+/\d+ runs, )?\d+ s(, (time left not known yet|nearly done|about [\d a-z]+ left))?")


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


class ProgressLine:
    """A line for a notebook: its name, the cells that are done, seconds; a terminal sees it change."""

    def __init__(self, name: str, cells: int) -> None:
        self._name, self._cells, self._done = name, cells, 0
        self._started_s = time.monotonic()
        self._rewritten = sys.stdout.isatty()
        if self._rewritten:
            self._show()

    def count(self, **_: Any) -> None:
        """Count a cell; nbclient calls this after each."""
        self._done += 1
        if self._rewritten:
            self._show()

    def end(self, *, failed: bool) -> None:
        """Show the line for the last time."""
        self._show(": failed\n" if failed else "\n")

    def _show(self, end: str = "") -> None:
        begin = "\r" if self._rewritten else ""
        seconds = time.monotonic() - self._started_s
        print(f"{begin}{self._name}  {self._done}/{self._cells} cells  {seconds:.0f} s", end=end, flush=True)


def sources(names: Sequence[str]) -> list[Path]:
    """Return the scripts of these notebooks, or of all. Raises SystemExit if there is no such notebook."""
    found = {path.stem: path for path in sorted(FOLDER.glob("[0-9]*.py"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SystemExit(f"there is no notebook {unknown[0]!r} (there are: {', '.join(found)})")
    return [found[name] for name in names or found]


def read(source: Path) -> NotebookNode:
    """Return the notebook without outputs."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # else it is random
    return notebook


def execute(notebook: NotebookNode, line: ProgressLine) -> str | None:
    """Fill in the outputs; return what went wrong, with the cell and its traceback or words, or None."""
    client = NotebookClient(
        notebook,
        timeout=LONGEST_CELL_S,
        record_timing=False,
        kernel_manager_class=OwnPython,
        resources={"metadata": {"path": str(FOLDER)}},
        on_cell_executed=line.count,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return str(error)
    return complaint(notebook)


def complaint(notebook: NotebookNode) -> str | None:
    """Return what the first cell that wrote to standard error wrote there, progress aside, or None."""
    for cell in notebook.cells:
        errors = [output.text for output in cell.get("outputs", []) if output.get("name") == "stderr"]
        words = [word for word in "".join(errors).splitlines() if word.strip() and not PROGRESS.fullmatch(word.strip())]
        if words:
            return "\n".join(["this cell wrote to standard error:", cell.source, "------------------", *words])
    return None


def kept(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs from run to run: progress, and the version of Python."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    notebook.cells.insert(1, answer(notebook))
    return notebook


def answer(notebook: NotebookNode) -> NotebookNode:
    """Return a cell of words with what the last cell says. Raises ValueError if that says nothing in Markdown."""
    found = [output.data for output in notebook.cells[-1].outputs if output.output_type == "display_data"]
    words = [data["text/markdown"] for data in found if "text/markdown" in data]
    if not words:
        raise ValueError("the last cell says nothing in Markdown; it is to give the answer")
    cell = new_markdown_cell("\n\n".join(["**Answer**, worked out [below](#Answer).", *words]))
    cell.update(id="answer", metadata={"tags": ["answer"]})
    return cell


def build(source: Path, *, check: bool) -> str | None:
    """Execute one notebook and, unless it is only a check, write it; return what went wrong, or None."""
    notebook = read(source)
    line = ProgressLine(source.stem, sum(cell.cell_type == "code" for cell in notebook.cells))
    failure = execute(notebook, line)
    line.end(failed=failure is not None)
    if failure is not None:
        return f"{source.name}: {failure}"
    if not check:
        nbformat.write(kept(notebook), source.with_suffix(".ipynb"))
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
