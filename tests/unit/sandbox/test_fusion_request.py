"""How runs are put to a SandboxFusion server."""

import base64
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.program import Limits, Program
from balancer.sandbox.fusion.request import request_for

LIMITS = Limits(cpu_s=1.5, wall_s=4.0, compile_s=20.0, memory_bytes=100 * 2**20 + 1, output_bytes=1000)
NO_FILES: dict[str, bytes] = {}


def test_a_plain_program_goes_natively() -> None:
    asked = request_for(Program("python", "print(1)"), "1 ä\n".encode(), LIMITS, {"a.txt": b"\xff"})
    assert asked.body.model_dump(exclude_none=True) == {
        "code": "print(1)",
        "language": "python",
        "stdin": "1 ä\n",
        "compile_timeout": 20.0,
        "run_timeout": 1.5,
        "memory_limit_MB": 101,
        "files": {"a.txt": base64.b64encode(b"\xff").decode()},
        "fetch_files": [],
        "wall_timeout": 4.0,
        "output_limit": 1000,
    }
    assert not asked.scripted
    assert asked.total_s == 4.0


def test_compiling_takes_its_own_time_and_memory() -> None:
    asked = request_for(Program("cpp", "int main(){}"), b"", LIMITS, NO_FILES)
    assert (asked.body.language, asked.body.memory_limit_MB, asked.total_s) == ("cpp", 512, 24.0)


def test_the_smaller_limit_counts() -> None:
    asked = request_for(Program("python", ""), b"", Limits(cpu_s=10.0, wall_s=3.0), NO_FILES)
    assert asked.body.run_timeout == 3.0


@pytest.mark.parametrize(
    ("program", "stdin"),
    [
        (Program("python", "pass", args=("a",)), b""),
        (Program("python", "pass"), b"\xff"),
        (Program("python", "# \udcff"), b""),
    ],
)
def test_what_the_server_cannot_take_goes_as_a_script(program: Program, stdin: bytes) -> None:
    asked = request_for(program, stdin, LIMITS, {"in.txt": b"x"})
    assert asked.scripted
    assert asked.body.language == "bash"
    assert asked.body.stdin is None
    files = {name: base64.b64decode(content or "") for name, content in asked.body.files.items()}
    source = program.source.encode("utf-8", "surrogateescape")
    assert files == {"in.txt": b"x", "main.py": source, ".stdin": stdin}


def test_a_scripted_checker_may_compile_and_run() -> None:
    asked = request_for(Program("cpp", "int main(){}", args=("in",)), b"", LIMITS, NO_FILES)
    assert (asked.body.run_timeout, asked.body.wall_timeout, asked.total_s) == (21.5, 24.0, 24.0)
    assert asked.body.code == (
        "g++ -O2 -std=c++17 main.cpp -o .program </dev/null 1>&2"
        " || { echo 'balancer: compile error' >&2; exit 1; }\n"
        "exec ./.program in <.stdin\n"
    )


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_arguments_reach_the_program_as_they_are(args: list[str]) -> None:
    asked = request_for(Program("python", "", args=tuple(args)), b"", LIMITS, NO_FILES)
    command = asked.body.code.removeprefix("exec python3 main.py ").removesuffix(" <.stdin\n")
    assert shlex.split(command) == args


def test_the_shell_agrees_about_quoting() -> None:
    args = ("", " ", "'", '"', "$HOME", "`id`", "\\", "a\nb", "*", "--", "é", "!x")
    asked = request_for(Program("bash", "", args=args), b"", LIMITS, NO_FILES)
    script = asked.body.code.replace("exec bash .program", "printf '%s\\0'").replace("<.stdin", "</dev/null")
    printed = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert printed.decode().split("\0")[:-1] == list(args)


@pytest.mark.parametrize("name", ["main.py", ".stdin", ".program", "../x", "/x"])
def test_names_that_are_taken_or_not_safe(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        request_for(Program("python", ""), b"", LIMITS, {name: b""})


def test_an_unknown_language() -> None:
    """A server may know more than this machine; what it takes to run a script, only this machine's languages have."""
    assert request_for(Program("cobol", "x"), b"1", LIMITS, NO_FILES).body.language == "cobol"
    for program, stdin in ((Program("cobol", "x", "", ("1",)), b""), (Program("cobol", "x"), b"\xff")):
        with pytest.raises(
            ValueError, match=r"'cobol' cannot be sent with arguments, .* those in bash, cpp, java, python"
        ):
            request_for(program, stdin, LIMITS, NO_FILES)
