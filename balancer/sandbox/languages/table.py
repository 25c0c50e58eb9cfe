"""The built-in languages: flags, file names, and what runtimes need. The "hello" of each was run in the sandbox.

Go, Java and Node map much more address space than they use, and address space is limited: hence `runtime_bytes`.

Java: a program of one file becomes a jar. The class to start is found in its source. The virtual machine is kept within
its limits.
"""

import re
from collections.abc import Mapping

from balancer.hookspecs import hookimpl
from balancer.language import Language

__all__ = ["CXX_FLAGS", "LANGUAGE", "LANGUAGES", "RUN", "balancer_languages", "java_files"]

_PACKAGE = re.compile(rb"^[ \t]*package\s+[\w.]+\s*;", re.MULTILINE)
# A public class must have the name of its file, so it is made non-public.
_PUBLIC = re.compile(rb"\bpublic\s+((?:(?:final|abstract|strictfp)\s+)*(?:class|interface|enum|record)\b)")
_TYPE = re.compile(rb"\b(?:class|interface|enum|record)\s+(\w+)")
_MAIN = re.compile(rb"\bstatic\s+(?:final\s+)?void\s+main\s*\(")
# -I. : headers of the program itself, written in either way.
CXX_FLAGS = ("-O2", "-std=gnu++20", "-I.")
_C_FLAGS = ("-O2", "-std=gnu17", "-I.")
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

RUN = (
    "java",
    "-Xmx{memory}m",
    "-Xss64m",
    "-XX:+UseSerialGC",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:CompressedClassSpaceSize=64m",
    "-XX:-UsePerfData",
    "-jar",
    "{program}",
)

LANGUAGE = Language(
    name="java",
    file="Main.java",
    run=RUN,
    compile=("sh", "-c", _COMPILE, "compile", "{output}"),
    joined=True,
    extensions=(".java",),
    tools=("javac", "java", "jar"),
    install="default-jdk",
    hello='class Hello { public static void main(String[] a) { System.out.println("pong"); } }',
    native="java",
    runtime_bytes=3 * 2**30,
    compiler_bytes=3 * 2**30,
    runtime_processes=64,
    files=java_files,
)


def _interpreted(name: str, file: str, ending: str, hello: str, *, install: str = "") -> Language:
    """Return a language whose interpreter has its name, here and on SandboxFusion servers."""
    return Language(
        name,
        file,
        run=(name, file),
        extensions=(ending,),
        tools=(name,),
        install=install or name,
        hello=hello,
        native=name,
    )


LANGUAGES = (
    Language(
        name="python",
        file="main.py",
        run=("{python}", "main.py"),
        extensions=(".py", ".py3"),
        install="python3",
        hello="print('pong')",
        native="python",
    ),
    Language(
        name="cpp",
        file="main.cpp",
        run=("{program}",),
        compile=("g++", *CXX_FLAGS, "-o", "{output}", "main.cpp"),
        pragmatic=("sh", "-c", _FORGIVING, "compile", "{output}"),
        headers=("bits/stdc++.h", "iostream"),
        precompile=("g++", *CXX_FLAGS, "-x", "c++-header", "-o", "{output}", "header.h"),
        joined=True,
        extensions=(".cpp", ".cc", ".cxx", ".c++"),
        tools=("g++",),
        install="g++",
        hello='#include <cstdio>\nint main() { puts("pong"); }',
        native="cpp",
    ),
    Language(
        name="c",
        file="main.c",
        run=("{program}",),
        compile=("gcc", *_C_FLAGS, "-o", "{output}", "main.c", "-lm"),
        joined=True,
        extensions=(".c",),
        tools=("gcc",),
        install="gcc",
        hello='#include <stdio.h>\nint main(void) { puts("pong"); return 0; }',
    ),
    LANGUAGE,
    Language(
        name="kotlin",
        file="main.kt",
        run=RUN,
        compile=("sh", "-c", _KOTLIN, "compile", "{output}"),
        joined=True,
        extensions=(".kt",),
        tools=("kotlinc", "java"),
        install="kotlin and default-jdk",
        hello='fun main() { println("pong") }',
        runtime_bytes=3 * _GIB,
        compiler_bytes=3 * _GIB,
        runtime_processes=64,
    ),
    Language(
        name="pypy", file="main.py", run=("pypy3", "main.py"), tools=("pypy3",), install="pypy3", hello="print('pong')"
    ),
    Language(
        name="rust",
        file="main.rs",
        run=("{program}",),
        compile=("rustc", "--edition=2021", "-O", "-A", "warnings", "-o", "{output}", "main.rs"),
        extensions=(".rs",),
        tools=("rustc", "cc"),
        install="rustc",
        hello='fn main() { println!("pong"); }',
        native="rust",
        compiler_bytes=2 * _GIB,
    ),
    Language(
        name="go",
        file="main.go",
        run=("{program}",),
        compile=("env", "GOCACHE={scratch}/.go", "GO111MODULE=off", "go", "build", "-o", "{output}", "main.go"),
        joined=True,
        extensions=(".go",),
        tools=("go",),
        install="golang-go",
        hello='package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("pong") }\n',
        native="go",
        runtime_bytes=2 * _GIB,
        compiler_bytes=2 * _GIB,
        runtime_processes=64,
    ),
    Language(
        name="haskell",
        file="main.hs",
        run=("{program}",),
        compile=("ghc", "-O2", "-v0", "-outputdir", "{scratch}/.made", "-o", "{output}", "main.hs"),
        extensions=(".hs",),
        tools=("ghc",),
        trees=("/var/lib/ghc",),
        install="ghc",
        hello='main :: IO ()\nmain = putStrLn "pong"\n',
        runtime_bytes=_GIB,
        compiler_bytes=2 * _GIB,
    ),
    Language(
        name="javascript",
        file="main.js",
        run=("node", "--max-old-space-size={memory}", "--stack-size=60000", "main.js"),
        extensions=(".js", ".mjs"),
        tools=("node",),
        install="nodejs",
        hello="console.log('pong')",
        native="nodejs",
        runtime_bytes=8 * _GIB,
        runtime_processes=32,
    ),
    Language(
        name="csharp",
        file="main.cs",
        run=("mono", "{program}"),
        compile=("mcs", "-optimize+", "-warn:0", "-r:System.Numerics", "-out:{output}", "main.cs"),
        joined=True,
        extensions=(".cs",),
        tools=("mcs", "mono"),
        trees=("/etc/mono",),
        install="mono-mcs",
        hello='class Hello { static void Main() { System.Console.WriteLine("pong"); } }',
        native="csharp",
        runtime_bytes=_GIB,
        runtime_processes=32,
    ),
    Language(
        name="ocaml",
        file="main.ml",
        run=("{program}",),
        compile=(
            "ocamlopt",
            "-w",
            "-a",
            "-I",
            "+unix",
            "-I",
            "+str",
            "unix.cmxa",
            "str.cmxa",
            "-o",
            "{output}",
            "main.ml",
        ),
        extensions=(".ml",),
        tools=("ocamlopt",),
        install="ocaml-nox",
        hello='let () = print_endline "pong"',
    ),
    _interpreted("perl", "main.pl", ".pm", 'print "pong\\n";'),
    _interpreted("ruby", "main.rb", ".rb", 'puts "pong"'),
    _interpreted("php", "main.php", ".php", '<?php echo "pong\n";', install="php-cli"),
    _interpreted("lua", "main.lua", ".lua", 'print("pong")', install="lua5.4"),
    _interpreted("bash", "main.sh", ".sh", "echo pong"),
    Language(
        name="folder",
        file="run",
        run=("sh", "-c", _RUN, "run", "{program}"),
        compile=("sh", "-c", _BUILD, "build", "{output}"),
        tools=("sh", "tar"),
        install="tar",
        hello="#!/bin/sh\necho pong\n",
        # It may start a virtual machine.
        runtime_bytes=3 * _GIB,
        compiler_bytes=3 * _GIB,
        runtime_processes=64,
    ),
)


@hookimpl
def balancer_languages() -> tuple[Language, ...]:
    """Return the built-in languages."""
    return LANGUAGES
