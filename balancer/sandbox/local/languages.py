"""What the languages mean on this machine: file names, compile and run commands, and which of them exist here.

Decides how a program of a language is built and started, and with which interpreter or compiler.
It must not know how programs are isolated, nor what their limits are: commands are templates whose
places (`{program}`, `{output}`, `{python}`) somebody else fills in. User data never goes into a template.
"""

import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from balancer.sandbox.local import java
from balancer.sandbox.local.language import Language

__all__ = ["CXX_FLAGS", "LANGUAGES", "SEARCH_PATH", "Language", "Toolchain", "find_toolchain"]

# Programs see only what lies under /usr (and its usual aliases), so tools are looked for nowhere else.
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

CXX_FLAGS = ("-O2", "-std=c++17")

_VERSION_TIMEOUT_S = 10.0


LANGUAGES: Mapping[str, Language] = {
    language.name: language
    for language in (
        Language("python", "main.py", ("{python}", "main.py")),
        Language("cpp", "main.cpp", ("{program}",), ("g++", *CXX_FLAGS, "main.cpp", "-o", "{output}")),
        Language("bash", "main.sh", ("bash", "main.sh")),
        java.LANGUAGE,
    )
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What this machine has.

    Args:
        languages: names of the languages that can be run here.
        python: the interpreter that runs Python programs; "" if there is none.
        compiler: the compiler and its version, as it names itself; part of what identifies a compiled program.
        trees: folders outside /usr that programs need to read.
        missing: language -> why it cannot be run here and what to install.
    """

    languages: frozenset[str]
    python: str = ""
    compiler: str = ""
    trees: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def find_toolchain() -> Toolchain:
    """Return what this machine has; looked up once per process (about 10 ms)."""
    python, trees, no_python = _find_python()
    compiler, no_compiler = _find_compiler()
    no_bash = "" if _find("bash") else "no bash under /usr; install bash"
    no_java = "" if _find("javac") and _find("java") and _find("jar") else "no JDK under /usr; install default-jdk"
    missing = {"python": no_python, "cpp": no_compiler, "bash": no_bash, "java": no_java}
    return Toolchain(
        languages=frozenset(name for name, reason in missing.items() if not reason),
        python=python,
        compiler=compiler,
        trees=trees,
        missing={name: reason for name, reason in missing.items() if reason},
    )


def _find(tool: str) -> str | None:
    return shutil.which(tool, path=SEARCH_PATH)


def _find_python() -> tuple[str, tuple[str, ...], str]:
    """Return the interpreter, the folders it needs beside /usr, and why there is none."""
    if system := _find("python3"):
        return system, (), ""
    binary = os.path.realpath(sys.executable)
    prefix = os.path.realpath(sys.base_prefix)
    # As root, programs run as another user, who must be able to get at the interpreter.
    if os.geteuid() == 0 and not (_readable_by_others(binary) and _readable_by_others(prefix)):
        return "", (), f"the only Python is {binary}, which other users cannot read; install python3 under /usr"
    return binary, (prefix,), ""


def _readable_by_others(path: str) -> bool:
    """Tell whether a user without rights of their own can reach and read `path`."""
    folders_open = all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(path).parents)
    return folders_open and bool(os.stat(path).st_mode & stat.S_IROTH)


def _find_compiler() -> tuple[str, str]:
    """Return the compiler with its version, and why there is none."""
    compiler = _find("g++")
    if compiler is None:
        return "", "no g++ under /usr; install g++"
    try:
        answer = subprocess.run(
            [compiler, "--version"],
            capture_output=True,
            timeout=_VERSION_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", f"{compiler} --version does not work ({type(error).__name__}); reinstall g++"
    version = answer.stdout.decode("utf-8", "replace").partition("\n")[0]
    return f"{os.path.realpath(compiler)} {version}", ""
