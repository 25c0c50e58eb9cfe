"""The built-in languages: flags, file names, and what runtimes need. The "hello" of each was run in the sandbox.

Go, Java and Node map much more address space than they use, and address space is limited: hence `runtime_bytes`.

Java: a program of one file becomes a jar. The class to start is found in its source. The virtual machine is kept within
its limits.
"""

import re
from collections.abc import Mapping
from typing import Any

from balancer.hookspecs import hookimpl
from balancer.program import Language

__all__ = ["LANGUAGES", "balancer_languages", "java_files"]

_PACKAGE = re.compile(rb"^[ \t]*package\s+[\w.]+\s*;", re.MULTILINE)
# A public class must have the name of its file, so it is made non-public.
_PUBLIC = re.compile(rb"\bpublic\s+((?:(?:final|abstract|strictfp)\s+)*(?:class|interface|enum|record)\b)")
_TYPE = re.compile(rb"\b(?:class|interface|enum|record)\s+(\w+)")
_MAIN = re.compile(rb"\bstatic\s+(?:final\s+)?void\s+main\s*\(")
# Sources written for another compiler may lack headers, or have a name that a later standard took, such as `data`. Not
# -fpermissive: it accepts wrong programs.
_FORGIVING = """\
output=$1
shift
for standard in gnu++20 gnu++17 gnu++14; do
    g++ -O2 -std=$standard -I. -w -include bits/stdc++.h -o "$output" main.cpp "$@" && break
    code=$?
    [ $code -lt 128 ] && [ $standard != gnu++14 ] || exit $code
done
echo "compiled with -std=$standard" >&2
"""

_GIB = 2**30

_KOTLIN = """\
output=$1
shift
kotlinc -nowarn -J-Xmx1g -include-runtime -d made.jar main.kt "$@" && mv made.jar "$output"
"""

# `build` and `run` are programs of the package, in any language; see "folder" in docs/sandbox.md.
_BUILD = """\
chmod -R u+rwX . || exit
[ -s run ] || rm -f run
for script in build run; do [ ! -e $script ] || chmod +x $script || exit; done
[ ! -e build ] || ./build </dev/null 1>&2 || exit
[ -e run ] && chmod +x run || { echo 'build made no program run' >&2; exit 1; }
rm -f "$1"
tar -cf "$1" .
"""
_RUN = """\
tar --no-same-owner -xf "$1" || exit
shift
exec ./run "$@"
"""


def java_files(source: bytes) -> Mapping[str, bytes]:
    """Return the source without `package` and without `public` of classes, and the name of the class to start."""
    text = _PUBLIC.sub(rb"\1", _PACKAGE.sub(b"", source))
    return {"Main.java": text, "entry": _entry(text)}


def _entry(text: bytes) -> bytes:
    """Return the outermost class around the method main, or the first class."""
    main = _MAIN.search(text)
    before = text[: main.start()] if main else text
    outer = [found[1] for found in _TYPE.finditer(before) if _depth(text[: found.start()]) == 0]
    return outer[-1] if main and outer else outer[0] if outer else b"Main"


def _depth(text: bytes) -> int:
    return text.count(b"{") - text.count(b"}")


# The entry is a word of the source (\w+). It is written to a file, so it can never become a command.
_COMPILE = """\
output=$1
shift
javac -nowarn -encoding UTF-8 -J-Xmx1g -d classes Main.java "$@" || exit
jar --create --file "$output" --main-class "$(cat entry)" -C classes .
"""

_COMMANDS = {"run", "compile", "pragmatic", "precompile", "headers", "trees"}
# -I. : headers of the program itself, written in either way.
_CXX = "g++ -O2 -std=gnu++20 -I."
_JVM = (
    "java -Xmx{memory}m -Xss64m -XX:+UseSerialGC -XX:ReservedCodeCacheSize=64m -XX:CompressedClassSpaceSize=64m "
    "-XX:-UsePerfData -jar {program}"
)


def _language(name: str, file: str, endings: str, tools: str, hello: str, **more: Any) -> Language:
    """Return a language. Its commands are given as words, or as a script of `sh` that gets the name of its output."""
    commands = {"run": "{program}", **more}
    for key, command in commands.items():
        if key in _COMMANDS and isinstance(command, str):
            script = ("sh", "-c", command, "compile", "{output}")
            commands[key] = script if "\n" in command else tuple(command.split())
    found = {"install": tools.split()[0], **commands}
    return Language(name, file, extensions=tuple(endings.split()), tools=tuple(tools.split()), hello=hello, **found)


def _interpreted(name: str, file: str, ending: str, hello: str, **more: Any) -> Language:
    """Return a language whose interpreter has its name, here and on SandboxFusion servers."""
    return _language(name, file, ending, name, hello, run=f"{name} {file}", native=name, **more)


# The virtual machine takes its address space for itself.
_FOR_JVM = {"runtime_bytes": 3 * _GIB, "compiler_bytes": 3 * _GIB, "runtime_processes": 64}

LANGUAGES = (
    _language("python", "main.py", ".py .py3", "python3", "print('pong')", run="python3 main.py", native="python"),
    _language(
        "cpp",
        "main.cpp",
        ".cpp .cc .cxx .c++",
        "g++",
        '#include <cstdio>\nint main() { puts("pong"); }',
        compile=f"{_CXX} -o {{output}} main.cpp",
        pragmatic=_FORGIVING,
        headers="bits/stdc++.h iostream",
        precompile=f"{_CXX} -x c++-header -o {{output}} header.h",
        joined=True,
        native="cpp",
    ),
    _language(
        "c",
        "main.c",
        ".c",
        "gcc",
        '#include <stdio.h>\nint main(void) { puts("pong"); return 0; }',
        compile="gcc -O2 -std=gnu17 -I. -o {output} main.c -lm",
        joined=True,
    ),
    _language(
        "java",
        "Main.java",
        ".java",
        "javac java jar",
        'class Hello { public static void main(String[] a) { System.out.println("pong"); } }',
        compile=_COMPILE,
        install="default-jdk",
        native="java",
        files=java_files,
        run=_JVM,
        joined=True,
        **_FOR_JVM,
    ),
    _language(
        "kotlin",
        "main.kt",
        ".kt",
        "kotlinc java",
        'fun main() { println("pong") }',
        compile=_KOTLIN,
        install="kotlin and default-jdk",
        run=_JVM,
        joined=True,
        **_FOR_JVM,
    ),
    _language("pypy", "main.py", "", "pypy3", "print('pong')", run="pypy3 main.py"),
    _language(
        "rust",
        "main.rs",
        ".rs",
        "rustc cc",
        'fn main() { println!("pong"); }',
        compile="rustc --edition=2021 -O -A warnings -o {output} main.rs",
        native="rust",
        compiler_bytes=2 * _GIB,
    ),
    _language(
        "go",
        "main.go",
        ".go",
        "go",
        'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("pong") }\n',
        compile="env GOCACHE={scratch}/.go GO111MODULE=off go build -o {output} main.go",
        joined=True,
        install="golang-go",
        native="go",
        runtime_bytes=2 * _GIB,
        compiler_bytes=2 * _GIB,
        runtime_processes=64,
    ),
    _language(
        "haskell",
        "main.hs",
        ".hs",
        "ghc",
        'main :: IO ()\nmain = putStrLn "pong"\n',
        compile="ghc -O2 -v0 -outputdir {scratch}/.made -o {output} main.hs",
        trees="/var/lib/ghc",
        runtime_bytes=_GIB,
        compiler_bytes=2 * _GIB,
    ),
    _language(
        "javascript",
        "main.js",
        ".js .mjs",
        "node",
        "console.log('pong')",
        run="node --max-old-space-size={memory} --stack-size=60000 main.js",
        install="nodejs",
        native="nodejs",
        runtime_bytes=8 * _GIB,
        runtime_processes=32,
    ),
    _language(
        "csharp",
        "main.cs",
        ".cs",
        "mcs mono",
        'class Hello { static void Main() { System.Console.WriteLine("pong"); } }',
        run="mono {program}",
        compile="mcs -optimize+ -warn:0 -r:System.Numerics -out:{output} main.cs",
        joined=True,
        trees="/etc/mono",
        install="mono-mcs",
        native="csharp",
        runtime_bytes=_GIB,
        runtime_processes=32,
    ),
    _language(
        "ocaml",
        "main.ml",
        ".ml",
        "ocamlopt",
        'let () = print_endline "pong"',
        compile="ocamlopt -w -a -I +unix -I +str unix.cmxa str.cmxa -o {output} main.ml",
        install="ocaml-nox",
    ),
    _interpreted("perl", "main.pl", ".pm", 'print "pong\\n";'),
    _interpreted("ruby", "main.rb", ".rb", 'puts "pong"'),
    _interpreted("php", "main.php", ".php", '<?php echo "pong\n";', install="php-cli"),
    _interpreted("lua", "main.lua", ".lua", 'print("pong")', install="lua5.4"),
    _interpreted("bash", "main.sh", ".sh", "echo pong"),
    _language(
        "folder",
        "run",
        "",
        "sh tar",
        "#!/bin/sh\necho pong\n",
        install="tar",
        # It may start a virtual machine.
        run=("sh", "-c", _RUN, "run", "{program}"),
        **_FOR_JVM,
        compile=("sh", "-c", _BUILD, "build", "{output}"),
    ),
)


@hookimpl
def balancer_languages() -> tuple[Language, ...]:
    """Return the built-in languages."""
    return LANGUAGES
