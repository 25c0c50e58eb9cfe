"""The documents do what they say: their Python runs, their configs load, their links lead somewhere.

A block that cannot be run has `<!-- no-run: why -->` before it; it must still be valid Python or TOML.
"""

import os
import re
import subprocess
import sys
import tomllib

import pytest
from balancer_simulator import load_scenario

from balancer.pipeline.llm.answer import ModelAnswer
from balancer.plugins.registry import default_registry
from balancer.settings.config import load_config
from tests.contracts.documents import DOCUMENTS, ROOT, anchors, blocks, links, name_of
from tests.patience import PATIENCE_S

_LANGUAGES = {"python", "toml", "console", "sh", "text", "json", "mermaid"}
_ALL = [block for document in DOCUMENTS for block in blocks(document)]


def _of(language):
    return [block for block in _ALL if block.language == language]


@pytest.mark.parametrize("block", _ALL, ids=str)
def test_a_block_says_its_language_and_why_it_is_not_run(block):
    assert block.language in _LANGUAGES, f"{block.language!r} is not one of {sorted(_LANGUAGES)}"
    assert block.reason != "", "no-run needs a reason"


@pytest.mark.parametrize("block", _of("python"), ids=str)
def test_python_compiles(block):
    compile(block.code, str(block), "exec", dont_inherit=True)


_WITH_PYTHON = sorted({block.document for block in _of("python") if block.reason is None})


@pytest.mark.sampled(4)
@pytest.mark.parametrize("document", _WITH_PYTHON, ids=name_of)
def test_python_runs(document, tmp_path):
    """All blocks of a document run in order as one script, in a process and a folder of their own."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script = tmp_path / "page.py"  # a name that hides no module
    script.write_text(_script(document), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 0, f"{name_of(document)} (the lines are the document's own): {ran.stderr}"


def _script(document):
    """Return the document's Python with every line where it stands in the document, so that a traceback is right."""
    lines = [""] * len(document.read_text(encoding="utf-8").splitlines())
    for block in blocks(document):
        if block.language == "python" and block.reason is None:
            code = block.code.splitlines()
            lines[block.line - 1 : block.line - 1 + len(code)] = code
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("block", _of("toml"), ids=str)
def test_a_config_or_scenario_loads(block, tmp_path):
    found = tomllib.loads(block.code)
    if block.reason is not None:
        return
    file = tmp_path / "config.toml"
    file.write_text(block.code, encoding="utf-8")
    if "workload" in found:
        load_scenario(file)
        return
    if "rounds" in found:  # what a scripted model answers
        for answer in found["rounds"]:
            assert answer.keys() <= ModelAnswer.model_fields.keys()
            ModelAnswer.model_validate(answer)
        return
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block.code), "a-secret-of-16-or-more")
    config = load_config(file, environ=environ)
    registry = default_registry()
    registry.strategy_options(config.pool.strategy, config.pool.options)
    for name in config.pipeline.generators if config.pipeline else ():
        registry.find(name, registry.generators, "generator")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    for target in links(document):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{target}: there is no {file}"
        assert file.is_relative_to(ROOT), f"{target} leads out of the project"
        assert not anchor or anchor in anchors(file), f"{target}: {name_of(file)} has no such heading"
