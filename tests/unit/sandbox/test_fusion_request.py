"""How runs are put to a server: to our own, natively, or as a script."""

import base64
import subprocess

import pytest

from balancer.language import Language
from balancer.program import Limits, Program
from balancer.sandbox.fusion.wire import FusionRequest, FusionRun, native, ours, scripted
from balancer.sandbox.http.script import ScriptOptions
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.languages.table import LANGUAGES

LIMITS = Limits(cpu_s=1.5, wall_s=4.0, compile_s=20.0, memory_bytes=100 * 2**20 + 1, output_bytes=1000)
NO_FILES: dict[str, bytes] = {}
KNOWN = {language.name: language for language in LANGUAGES}


def by_script(
    program: Program, stdin: bytes = b"", files: dict[str, bytes] = NO_FILES, **options: str
) -> FusionRequest:
    language = KNOWN[program.language]
    return scripted(
        FusionRun(program, stdin, LIMITS, files), language, lay_out(language, program), ScriptOptions(**options)
    )


def test_our_own_servers_get_everything_as_it_is() -> None:
    program = Program("cpp", "int main(){}", args=("a b",), extras=(("x.h", b"\xff"),))
    asked = ours(FusionRun(program, b"\xfe", LIMITS, {"a.txt": b"\xff"}), compiles=True)
    assert asked.body.model_dump(exclude_none=True) == {
        "code": "int main(){}",
        "language": "cpp",
        "stdin_base64": base64.b64encode(b"\xfe").decode(),
        "compile_timeout": 20.0,
        "run_timeout": 1.5,
        "memory_limit_MB": 101,
        "files": {"a.txt": base64.b64encode(b"\xff").decode()},
        "fetch_files": [],
        "wall_timeout": 4.0,
        "output_limit": 1000,
        "args": ["a b"],
        "extras": {"x.h": base64.b64encode(b"\xff").decode()},
    }
    assert asked.total_s == 4.0 + LIMITS.compile_wall_s
    assert ours(FusionRun(Program("python", "ä"), "ä".encode(), LIMITS, {}), compiles=False).total_s == 4.0


def test_natively_a_plain_program_goes_as_the_servers_own_language() -> None:
    asked = native(
        FusionRun(Program("javascript", "1"), "1 ä\n".encode(), LIMITS, {"a.txt": b"\xff"}), "nodejs", compiles=False
    )
    assert (asked.body.language, asked.body.stdin, asked.body.run_timeout) == ("nodejs", "1 ä\n", 1.5)
    assert (asked.body.memory_limit_MB, asked.total_s) == (101, 4.0)
    asked = native(FusionRun(Program("go", "1"), b"", LIMITS, {}), "go", compiles=True)
    assert (asked.body.memory_limit_MB, asked.total_s) == (512, 4.0 + LIMITS.compile_wall_s)
    brief = Limits(cpu_s=10.0, wall_s=3.0)
    assert native(FusionRun(Program("php", ""), b"", brief, {}), "php", compiles=False).body.run_timeout == 3.0


@pytest.mark.parametrize(
    ("program", "stdin"),
    [
        (Program("cobol", "x", args=("a",)), b""),
        (Program("cobol", "x"), b"\xff"),
        (Program("cobol", "# \udcff"), b""),
        (Program("cobol", "x", extras=(("a", b""),)), b""),
    ],
)
def test_what_a_server_cannot_take_natively(program: Program, stdin: bytes) -> None:
    with pytest.raises(ValueError, match="'cobol' can be sent to this server only without arguments"):
        native(FusionRun(program, stdin, LIMITS, NO_FILES), "cobol", compiles=True)


def test_a_script_has_everything_in_files() -> None:
    program = Program("python", "# \udcff", args=("a",), extras=(("b/c.py", b"1"),))
    asked = by_script(program, b"\xff", {"in.txt": b"x"})
    assert (asked.body.language, asked.body.stdin) == ("bash", None)
    files = {name: base64.b64decode(content or "") for name, content in asked.body.files.items()}
    assert files == {"in.txt": b"x", "main.py": b"# \xff", ".stdin": b"\xff", "b/c.py": b"1"}
    assert asked.body.fetch_files == [".stdout", ".words"]
    assert asked.body.run_timeout == asked.total_s == 6.0


def test_a_script_has_time_and_memory_for_its_compiler() -> None:
    asked = by_script(Program("cpp", "int main(){}"))
    assert asked.total_s == 6.0 + LIMITS.compile_wall_s
    assert asked.body.memory_limit_MB == 2048
    assert "try g++ -O2 -std=gnu++20 -I. -o .program main.cpp" in asked.body.code


def test_the_shell_agrees_about_quoting() -> None:
    args = ("", " ", "'", '"', "$HOME", "`id`", "\\", "a\nb", "*", "--", "é", "!x", "{memory}", "@@SCRATCH@@")
    code = by_script(Program("bash", "", args=args)).body.code
    begin = code.index(" run bash main.sh ") + len(" run bash main.sh ")
    words = code[begin : code.index(" <.stdin >.stdout")]
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True).stdout
    assert printed.decode().split("\0")[:-1] == list(args)


@pytest.mark.parametrize("name", ["main.py", ".stdin", ".program", ".stdout", ".words", "../x", "/x"])
def test_names_that_are_taken_or_not_safe(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        by_script(Program("python", ""), files={name: b""})
    with pytest.raises(ValueError, match="file name"):
        by_script(Program("python", "", extras=((f"../{name}", b""),)))


def test_a_source_gives_way_to_a_file_of_its_name() -> None:
    program = Program("cpp", "int main(){}", extras=(("main.cpp", b"int f;"), ("a.cc", b"int g;"), ("-o.cpp", b"")))
    laid = lay_out(KNOWN["cpp"], program)
    assert laid.files["main.cpp"] == b"int f;"
    (own,) = laid.own
    assert laid.files[own] == b"int main(){}"
    assert set(laid.further) == {f"./{own}", "./a.cc", "./-o.cpp"}
    python = lay_out(KNOWN["python"], Program("python", "import main", extras=(("main.py", b"1"),)))
    (own,) = python.own
    assert python.run == ("{python}", own)


def test_a_file_that_is_the_source_itself_is_no_other_file() -> None:
    laid = lay_out(KNOWN["folder"], Program("folder", "#!/bin/sh", extras=(("run", b"#!/bin/sh"), ("build", b"x"))))
    assert laid.own == {"run"}
    assert set(laid.files) == {"run", "build"}


def test_no_language_is_without_what_a_try_needs() -> None:
    for language in LANGUAGES:
        assert isinstance(language, Language)
        assert language.hello
        assert language.run
        assert language.install
