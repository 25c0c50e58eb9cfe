"""Which of a Judge0 server's languages stand for ours, and which flags their compilers are given.

Decides it by their names, as ids differ from one server to another. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from balancer.sandbox.http.builds import Build
from balancer.sandbox.http.versions import newest
from balancer.sandbox.judge0.wire import Judge0Language, ServerLimits

__all__ = ["NAMES", "ServedLanguage", "served_languages"]

# Ours -> how Judge0 names its versions.
NAMES: Mapping[str, str] = {
    "bash": r"Bash \(([\d.]+)\)",
    "c": r"C \(GCC ([\d.]+)\)",
    "cpp": r"C\+\+ \(GCC ([\d.]+)\)",
    "go": r"Go \(([\d.]+)\)",
    "java": r"Java \((?:Open)?JDK ([\d.]+)\)",
    "javascript": r"JavaScript \(Node\.js ([\d.]+)\)",
    "kotlin": r"Kotlin \(([\d.]+)\)",
    "python": r"Python \((3\.[\d.]+)\)",
}
_FLAGGED = ("c", "cpp")  # without our flags they would not be optimised
_OLD_GCC = 10
# The years that later standards were given; compilers from before know them by these names.
_OLD_STANDARDS = {"-std=gnu++20": "-std=gnu++2a", "-std=c++20": "-std=c++2a", "-std=gnu17": "-std=gnu11"}


@dataclass(frozen=True, slots=True)
class ServedLanguage:
    """A language of the server.

    Attributes:
        id: its number.
        version: of its compiler or interpreter; "" if the config chose it by number.
        flagged: whether its compiler is given our flags.
    """

    id: int
    version: str
    flagged: bool

    def flags(self, build: Build) -> list[str]:
        """Return the flags of the compiler, in the words it knows."""
        if not self.flagged:
            return []
        major = int(self.version.partition(".")[0] or _OLD_GCC)
        flags = [_OLD_STANDARDS.get(flag, flag) if major < _OLD_GCC else flag for flag in build.flags]
        # They come before the source, where a linker takes no library that nothing needed so far.
        libraries = [flag for flag in flags if flag.startswith("-l")]
        return [*flags, *build.further] if not libraries else ["-Wl,--no-as-needed", *flags, *build.further]


def served_languages(
    languages: list[Judge0Language], limits: ServerLimits, chosen: Mapping[str, str]
) -> Mapping[str, ServedLanguage]:
    """Return which of the server's languages is used for each of ours.

    Args:
        languages: what the server has.
        limits: what it allows; C and C++ are left out where their compilers cannot be given flags.
        chosen: ids that the config chose, by our names of languages.
    """
    allowed = limits.allowed_languages_for_compile_options
    found = {}
    for name, pattern in NAMES.items():
        versions = {match[1]: each.id for each in languages if (match := re.fullmatch(pattern, each.name))}
        version = newest(versions)
        number, version = (
            (int(chosen[name]), _version(languages, chosen[name]))
            if name in chosen
            else (
                versions.get(version),
                version,
            )
        )
        if number is None:
            continue
        flagged = name in _FLAGGED
        if flagged and not (
            limits.enable_compiler_options and (not allowed or {"c": "C", "cpp": "C++"}[name] in allowed)
        ):
            continue
        found[name] = ServedLanguage(number, version, flagged)
    return found


def _version(languages: list[Judge0Language], number: str) -> str:
    """Return the version in the name of the language with that number, "" if it has none."""
    name = next((each.name for each in languages if str(each.id) == number), "")
    match = re.search(r"([\d.]+)\)$", name)
    return match[1] if match else ""
