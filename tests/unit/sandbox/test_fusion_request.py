"""How runs are put to a server: to our own, natively, or as a script."""

import base64
import subprocess
from collections.abc import Mapping

import pytest

from balancer.errors import EndpointError
from balancer.program import ExecutorOptions, Limits, Program
from balancer.sandbox.http.client import WireAnswer, WireRequest
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.languages.table import LANGUAGES
from balancer.sandbox.run_code import RunCodeRequest
from balancer.sandbox.servers.fusion import FusionExecutor

LIMITS = Limits(cpu_s=1.5, wall_s=4.0, compile_s=20.0, memory_bytes=100 * 2**20 + 1, output_bytes=1000)
KNOWN = {language.name: language for language in LANGUAGES}
ABOUT = b'{"server": "balancer sandbox", "languages": ["cpp", "python"]}'


def asked(
    program: Program,
    stdin: bytes = b"",
    files: Mapping[str, bytes] | None = None,
    *,
    ours: bool = False,
    native: bool = False,
    limits: Limits = LIMITS,
) -> tuple[RunCodeRequest, float]:
    """Return the last request for a run, and for how long the server may take.

    Args:
        program, stdin, files, limits: the run.
        ours: it is one of our own servers.
        native: it is a server on which a script says nothing.
    """
    seen: list[WireRequest] = []

    def exchange(request: WireRequest) -> WireAnswer:
        if request.method == "GET":
            return WireAnswer(200, {}, ABOUT) if ours else WireAnswer(404, {}, b"")
        seen.append(request)
        quiet = b'{"status": "Success", "run_result": {"status": "Finished", "return_code": 0}}'
        return WireAnswer(200, {}, quiet) if native and len(seen) == 1 else WireAnswer(500, {}, b"")

    client = FusionExecutor("http://a/", ExecutorOptions(known=KNOWN), exchange=exchange)
    with pytest.raises(EndpointError, match="answered 500"):
        client.run(program, stdin, limits, files or {})
    return RunCodeRequest.model_validate_json(seen[-1].content), seen[-1].within_s - client.margin_s


def decoded(files: Mapping[str, str | None]) -> dict[str, bytes]:
    return {name: base64.b64decode(content or "") for name, content in files.items()}


def test_our_own_servers_get_everything_as_it_is():
    program = Program("cpp", "int main(){}", args=("a b",), extras=(("x.h", b"\xff"),))
    body, total_s = asked(program, b"\xfe", {"a.txt": b"\xff"}, ours=True)
    assert (decoded(body.files), decoded(body.extras), decoded({"": body.stdin_base64})) == (
        {"a.txt": b"\xff"},
        {"x.h": b"\xff"},
        {"": b"\xfe"},
    )
    assert body.model_dump(exclude_none=True, exclude={"files", "extras", "stdin_base64"}) == {
        "code": "int main(){}",
        "language": "cpp",
        "compile_timeout": 20.0,
        "run_timeout": 1.5,
        "memory_limit_MB": 101,
        "fetch_files": [],
        "wall_timeout": 4.0,
        "output_limit": 1000,
        "args": ["a b"],
    }
    assert total_s == 4.0 + LIMITS.compile_wall_s
    body, total_s = asked(Program("python", "# ä\udcff"), "ä".encode(), ours=True)
    assert (body.code, decoded({"": body.source_base64})) == ("", {"": b"# \xc3\xa4\xff"})
    assert (body.stdin, total_s) == ("ä", 4.0)


@pytest.mark.parametrize(
    ("program", "limits", "name", "seconds", "mebibytes", "total_s"),
    [
        (Program("javascript", "1"), LIMITS, "nodejs", 1.5, 101, 4.0),
        (Program("go", "1"), LIMITS, "go", 1.5, 512, 4.0 + LIMITS.compile_wall_s),
        (Program("php", ""), Limits(cpu_s=10.0, wall_s=3.0), "php", 3.0, 512, 3.0),
    ],
)
def test_natively_a_plain_program_goes_as_the_servers_own_language(program, limits, name, seconds, mebibytes, total_s):
    body, within_s = asked(program, "1 ä\n".encode(), {"a.txt": b"\xff"}, native=True, limits=limits)
    assert (body.language, body.stdin, decoded(body.files)) == (name, "1 ä\n", {"a.txt": b"\xff"})
    assert (body.run_timeout, body.memory_limit_MB, within_s) == (seconds, mebibytes, total_s)


@pytest.mark.parametrize(
    ("program", "stdin"),
    [
        (Program("cobol", "x", args=("a",)), b""),
        (Program("cobol", "x"), b"\xff"),
        (Program("cobol", "# \udcff"), b""),
        (Program("cobol", "x", extras=(("a", b""),)), b""),
    ],
)
def test_what_a_server_cannot_take_natively(program, stdin):
    with pytest.raises(ValueError, match="'cobol' can be sent to this server only without arguments"):
        asked(program, stdin)


def test_a_script_has_everything_in_files():
    program = Program("bash", "# \udcff", args=("a",), extras=(("b/c.py", b"1"),))
    body, total_s = asked(program, b"\xff", {"in.txt": b"x"})
    assert (body.language, body.stdin) == ("bash", None)
    assert decoded(body.files) == {"in.txt": b"x", "main.sh": b"# \xff", ".stdin": b"\xff", "b/c.py": b"1"}
    assert body.fetch_files == [".stdout", ".words"]
    assert body.run_timeout == total_s == 6.0


def test_a_script_has_time_and_memory_for_its_compiler():
    body, total_s = asked(Program("cpp", "int main(){}"))
    assert total_s == 6.0 + LIMITS.compile_wall_s
    assert body.memory_limit_MB == 2048
    assert "try g++ -O2 -std=gnu++20 -I. -o .program main.cpp" in body.code


def test_the_shell_agrees_about_quoting():
    args = ("", " ", "'", '"', "$HOME", "`id`", "\\", "a\nb", "*", "--", "é", "!x", "{memory}", "@@SCRATCH@@")
    code = asked(Program("bash", "", args=args))[0].code
    begin = code.index(" run bash main.sh ") + len(" run bash main.sh ")
    words = code[begin : code.index(" <.stdin >.stdout")]
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True).stdout
    assert printed.decode().split("\0")[:-1] == list(args)


@pytest.mark.parametrize("name", ["main.sh", ".stdin", ".program", ".stdout", ".words", "../x", "/x"])
def test_names_that_are_taken_or_not_safe(name):
    with pytest.raises(ValueError, match="file name"):
        asked(Program("bash", ""), files={name: b""})
    with pytest.raises(ValueError, match="file name"):
        asked(Program("bash", "", extras=((f"../{name}", b""),)))


def test_a_source_gives_way_to_a_file_of_its_name():
    program = Program("cpp", "int main(){}", extras=(("main.cpp", b"int f;"), ("a.cc", b"int g;"), ("-o.cpp", b"")))
    laid = lay_out(KNOWN["cpp"], program)
    assert laid.files["main.cpp"] == b"int f;"
    (own,) = laid.own
    assert laid.files[own] == b"int main(){}"
    assert set(laid.further) == {f"./{own}", "./a.cc", "./-o.cpp"}
    python = lay_out(KNOWN["python"], Program("python", "import main", extras=(("main.py", b"1"),)))
    (own,) = python.own
    assert python.run == ("{python}", own)


def test_a_file_that_is_the_source_itself_is_no_other_file():
    laid = lay_out(KNOWN["folder"], Program("folder", "#!/bin/sh", extras=(("run", b"#!/bin/sh"), ("build", b"x"))))
    assert laid.own == {"run"}
    assert set(laid.files) == {"run", "build"}


def test_no_language_is_without_what_a_try_needs():
    assert all(language.hello and language.run and language.install for language in LANGUAGES)
