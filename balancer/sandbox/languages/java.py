"""Java: how a program of one file becomes a jar, and how the virtual machine is kept within its limits.

Decides which class of a source is started. It must not know whether there is a JDK here.
"""

import re
from collections.abc import Mapping

from balancer.language import Language

__all__ = ["LANGUAGE", "RUN", "java_files"]

_PACKAGE = re.compile(rb"^[ \t]*package\s+[\w.]+\s*;", re.MULTILINE)
# A public class must have the name of its file; nobody else needs it to be public.
_PUBLIC = re.compile(rb"\bpublic\s+((?:(?:final|abstract|strictfp)\s+)*(?:class|interface|enum|record)\b)")
_TYPE = re.compile(rb"\b(?:class|interface|enum|record)\s+(\w+)")
_MAIN = re.compile(rb"\bstatic\s+(?:final\s+)?void\s+main\s*\(")


def java_files(source: bytes) -> Mapping[str, bytes]:
    """Return the source without what ties it to a place, and the name of the class to start."""
    text = _PUBLIC.sub(rb"\1", _PACKAGE.sub(b"", source))
    return {"Main.java": text, "entry": _entry(text)}


def _entry(text: bytes) -> bytes:
    """Return the outermost class around the method main; the first one if there is none."""
    main = _MAIN.search(text)
    before = text[: main.start()] if main else text
    outer = [found[1] for found in _TYPE.finditer(before) if _depth(text[: found.start()]) == 0]
    return outer[-1] if main and outer else outer[0] if outer else b"Main"


def _depth(text: bytes) -> int:
    return text.count(b"{") - text.count(b"}")


# The entry is a word of the source, as \w+ has it; it stands in a file, so nothing of it is ever a command.
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
