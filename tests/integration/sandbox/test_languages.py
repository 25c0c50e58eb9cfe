"""Every language that this machine has; programs of many files; folders that build themselves."""

import functools

import pytest

from balancer.program import ExecutorOptions, Language, Limits, Program, Status
from balancer.sandbox.languages.known import by_extension, known_languages
from balancer.sandbox.languages.table import LANGUAGES
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.toolchain import find_toolchain

LIMITS = Limits(cpu_s=10.0, wall_s=60.0, compile_s=120.0)
# Each reads two numbers and prints their sum.
SUMS = {
    "python": "print(sum(map(int, input().split())))",
    "pypy": "import sys\nprint(sum(map(int, input().split())) if hasattr(sys, 'pypy_version_info') else 'not PyPy')",
    "cpp": "#include <iostream>\nint main() { long long a, b; std::cin >> a >> b; std::cout << a + b; }",
    "c": '#include <math.h>\n#include <stdio.h>\nint main(void) { double a, b; scanf("%lf%lf", &a, &b); '
    'printf("%.0f", fma(a, 1, b)); return 0; }',
    "java": "import java.util.*; public class Sum { public static void main(String[] a) { Scanner s = new "
    "Scanner(System.in); System.out.println(s.nextLong() + s.nextLong()); } }",
    "kotlin": "fun main() { println(readLine()!!.split(' ').map { it.toLong() }.sum()) }",
    "rust": "use std::io; fn main() { let mut s = String::new(); io::stdin().read_line(&mut s).unwrap(); "
    'println!("{}", s.split_whitespace().map(|x| x.parse::<i64>().unwrap()).sum::<i64>()); }',
    "go": 'package main\nimport "fmt"\nfunc main() { var a, b int64; fmt.Scan(&a, &b); fmt.Println(a + b) }',
    "haskell": "main = interact $ show . sum . map read . words",
    "javascript": "console.log(require('fs').readFileSync(0, 'utf8').split(' ').map(Number).reduce((a, b) => a + b))",
    "csharp": "using System; using System.Linq; class P { static void Main() { "
    "Console.WriteLine(Console.ReadLine().Split().Select(long.Parse).Sum()); } }",
    "ocaml": 'let () = Scanf.scanf " %d %d" (fun a b -> print_int (a + b))',
    "perl": "my ($a, $b) = split ' ', <STDIN>; print $a + $b;",
    "ruby": "puts gets.split.map(&:to_i).sum",
    "php": "<?php [$a, $b] = explode(' ', fgets(STDIN)); echo $a + $b;",
    "lua": 'local a, b = io.read("n", "n"); print(a + b)',
    "bash": "read -r a b; echo $((a + b))",
    "folder": "#!/bin/sh\nread -r a b; echo $((a + b))\n",
}


@functools.cache
def here() -> LocalExecutor:
    return LocalExecutor("local://languages")


@pytest.mark.sampled(4)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda each: each.name)
def test_a_language_that_is_here_runs_and_one_that_is_not_says_why(language):
    found = find_toolchain(LANGUAGES)
    if language.name in found.missing:
        assert not here().runs(language.name)
        pytest.skip(f"{language.name}: {found.missing[language.name]}")
    if not here().runs(language.name):
        pytest.skip(f"{language.name}: its tools are here and do not compile a program that prints pong")
    ran = here().run(Program(language.name, SUMS[language.name]), b"20 22\n", LIMITS, {})
    assert (ran.status, ran.exit_code, ran.stdout.split()) == (Status.FINISHED, 0, [b"42"]), ran


def test_tools_that_do_not_work_are_as_good_as_none():
    """Else every program in the language would get a compile error."""
    broken = Language("broken", "main.x", ("{program}",), ("false",), tools=("false",), hello="pong")
    executor = LocalExecutor("local://broken", ExecutorOptions(known={"broken": broken}))
    assert executor.languages == {"broken"}
    assert not executor.runs("broken")
    executor.close()


class TestFolder:
    def run(self, **files: bytes) -> tuple[Status, int | None, bytes, bytes]:
        extras = tuple((name, content) for name, content in files.items() if name != "run")
        program = Program("folder", files.get("run", b"").decode(), args=("a", "b c"), extras=extras)
        ran = here().run(program, b"in", LIMITS, {})
        return ran.status, ran.exit_code, ran.stdout, ran.stderr

    def test_arguments_input_and_exit_code_are_those_of_run(self):
        ended = self.run(run=b'#!/bin/sh\necho "$2"; cat; exit 43\n')
        assert ended == (Status.FINISHED, 43, b"b c\nin", b"")

    def test_build_may_make_run(self):
        made = b"#!/bin/sh\nprintf '#!/bin/sh\\necho made\\n' >run\n"
        assert self.run(build=made)[:3] == (Status.FINISHED, 0, b"made\n")

    @pytest.mark.parametrize(
        ("build", "words"),
        [(b"#!/bin/sh\necho no such thing\nexit 1\n", b"no such thing"), (b"#!/bin/sh\n", b"no program")],
    )
    def test_a_build_that_fails_is_a_compile_error(self, build, words):
        status, _, _, said = self.run(build=build)
        assert status is Status.COMPILE_ERROR
        assert words in said


def test_no_two_languages_claim_an_ending():
    claimed = [extension for language in LANGUAGES for extension in language.extensions]
    assert len(claimed) == len(set(claimed))
    assert by_extension()[".cc"] == "cpp"
    assert set(by_extension()) >= set(claimed)
    assert set(known_languages()) >= {language.name for language in LANGUAGES}
