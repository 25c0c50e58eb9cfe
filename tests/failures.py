"""A pytest plugin: a failure is named when it happens, not at the end of a run that may take half an hour.

So is a failure after which the test is tried again: the retry may pass, and the reason would be lost.

It must not know any test. Only the process that prints has it; the workers of pytest-xdist report to that one.
"""

import pytest


class FailuresAtOnce:
    """Prints one line for each report of a failure, as soon as it comes in."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name the test, the part of it that failed if it was not the test itself, and why."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        again = report.outcome == "rerun"  # of pytest-rerunfailures
        if (report.failed or again) and terminal is not None:
            part = "" if report.when == "call" else f" ({report.when})"
            terminal.line("")  # dots stand on the line so far
            terminal.write_line(
                f"{'TRIED AGAIN' if again else 'FAILED NOW'} {report.nodeid}{part}: {_why(report)}", red=True
            )


def _why(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    words = str(report.longrepr if crash is None else crash.message).strip().splitlines()
    return words[0][:160] if words else "no reason given"
