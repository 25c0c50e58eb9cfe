"""The notebooks that are committed are their scripts, executed from start to end without an error.

`make notebooks` executes them again, in CI in a short form; here only what is committed is looked at.
"""

import re
from importlib.util import module_from_spec, spec_from_file_location

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from balancer.reporting.progress import left_words
from tests.contracts.documents import ROOT, name_of

_SOURCES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))


def _cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_there_are_six():
    assert [path.stem[:2] for path in _SOURCES] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("source", _SOURCES, ids=name_of)
def test_the_notebook_is_its_script_executed(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    written = [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells]
    cells = [cell for cell in notebook.cells if "answer" not in cell.metadata.get("tags", [])]
    assert [(cell.cell_type, cell.source) for cell in cells] == written, "run: make notebooks"
    code = _cells(notebook, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []


@pytest.mark.parametrize("source", _SOURCES, ids=name_of)
def test_it_begins_with_a_question_and_ends_with_an_answer(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    words = _cells(notebook, "markdown")
    assert re.search(r"\?$", words[0].source, flags=re.MULTILINE)
    assert re.search(r"^## Answer$", words[-1].source, flags=re.MULTILINE)
    assert notebook.cells[-1].cell_type == "code", "the answer is computed, so that its numbers are those found"
    answers = [output for output in notebook.cells[-1].outputs if "text/markdown" in output.get("data", {})]
    assert answers
    first = notebook.cells[1]
    assert first.metadata["tags"] == ["answer"], "who reads it wants the answer first"
    assert first.source.endswith(answers[-1]["data"]["text/markdown"])


@pytest.mark.parametrize("source", _SOURCES, ids=name_of)
def test_it_has_pictures_and_each_cell_that_plots_has_one(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    plotting = [cell for cell in _cells(notebook, "code") if re.search(r"plot\.\w+\(|\.plot\(", cell.source)]
    assert len(plotting) >= 3
    shown = [[output for output in cell.outputs if "image/png" in output.get("data", {})] for cell in plotting]
    assert [cell.source for cell, pictures in zip(plotting, shown, strict=True) if not pictures] == []


@pytest.mark.parametrize("source", _SOURCES, ids=name_of)
def test_it_is_short_and_of_the_simulator_it_uses_public_names(source):
    text = source.read_text(encoding="utf-8")
    code = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", '"""'))]
    assert len(code) <= 120
    assert re.findall(r"balancer_simulator\.\w+", text) == []


def test_the_black_hole_takes_two_calls_in_a_hundred_with_ejection_and_forty_without():
    answer = nbformat.read(ROOT / "notebooks" / "04_failures.ipynb", as_version=4).cells[1].source
    found = re.search(r"takes ([\d.]+)% of all calls; with ejection ([\d.]+)%", answer)
    assert found
    assert float(found[1]) > 40.0
    assert float(found[2]) <= 2.0


def _stderr(*texts):
    quiet = new_code_cell("1 + 1", outputs=[new_output("stream", name="stdout", text="2\n")])
    loud = new_code_cell("warn()", outputs=[new_output("stream", name="stderr", text=text) for text in texts])
    return new_notebook(cells=[quiet, loud])


def test_a_word_on_standard_error_is_a_failure_and_progress_is_not():
    spec = spec_from_file_location("notebooks_build", ROOT / "notebooks" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    progress = "12/40 runs, 20 s, about 1 min 10 s left\n"
    unknown = "1/40 runs, 11 s, time left not known yet\n"
    assert build.complaint(_stderr(unknown, progress)) is None
    told = [f"20/21 runs, 8 s, {left_words(left_s)}\n" for left_s in (None, 0.5, 3.0, 17.0, 59.0, 200.0, 9000.0)]
    assert build.complaint(_stderr(*told)) is None, "however long it takes"
    words = build.complaint(_stderr(progress, "DeprecationWarning: it is old\n"))
    assert words.splitlines()[1:] == ["warn()", "------------------", "DeprecationWarning: it is old"]
