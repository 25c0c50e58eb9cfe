"""What a sandbox server does in a storm, beside a quiet one in the same run.

    python -m tests.benchmarks.bench_server [--short] [--seconds S]

Two servers, each with two workers. One is left in peace. The other has 4096 half-open connections (nothing sent, half
a head, a head without its body), which are opened again when it closes them; sixteen clients that send bodies of 60
MB over and over; and 200 endless programs, whose clients hang up at once. Both are asked in turn, over a new
connection each time, to run `print(1)`: "answered" are programs that ran; "busy" are 429 and 503; "none" is
everything else, an answer that took more than 30 s among it. Times are of all answers, busy ones included, and end
with the last byte. Memory is the peak of the server's own process (VmHWM), without the programs that it runs.
"""

import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.benchmarks.harness import Row, options, stream
from tests.servers import RunningServer, running_server
from tests.storm import Storm, StormReport, open_files, storm_over

FULL = Storm(half_open=4096, bodies=16, abandoned=200, over_s=30.0)
SHORT = Storm(half_open=512, bodies=4, abandoned=25, over_s=8.0)
PAUSE_S = 0.2
_PATIENCE_S = 30.0
_ANSWERED = 200
_BUSY = (429, 503)
_PROBE = {"code": "print(1)", "language": "python", "run_timeout": 10}


@dataclass(slots=True)
class Probed:
    """What became of the requests to one server. Attributes: `seconds` of each answer; `ends`, how many ended how."""

    seconds: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def ask(self, url: str) -> None:
        """Have a program run, and note how that went."""
        began_s = time.monotonic()
        end = self._end(url)
        self.seconds.append(time.monotonic() - began_s)
        self.ends[end] += 1

    @staticmethod
    def _end(url: str) -> str:
        try:
            response = httpx2.post(f"{url}run_code", json=_PROBE, timeout=_PATIENCE_S, trust_env=False)
        except httpx2.HTTPError as error:
            return f"none ({type(error).__name__})"
        if response.status_code != _ANSWERED:
            return "busy" if response.status_code in _BUSY else f"none ({response.status_code})"
        printed = (response.json().get("run_result") or {}).get("stdout")
        return "answered" if printed == "1\n" else f"none (printed {printed!r})"

    def quantile_s(self, share: float) -> float:
        """Return the time that this share of the answers took at most."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one run. Peaks are in bytes."""

    quiet: Probed
    stormed: Probed
    quiet_peak: int
    stormed_peak: int
    report: StormReport
    counted: str


def measure(storm: Storm, *, seconds: float, **settings: Any) -> Measured:
    """Ask two servers with these `ServerSettings` in turn for `seconds`, one of them in `storm`."""
    quiet, stormed = Probed(), Probed()
    with running_server(**settings) as still, running_server(**settings) as shaken:
        for each in (still, shaken):
            Probed().ask(each.url)  # what is found out once, is
        with storm_over(shaken.url, storm) as stop:
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                quiet.ask(still.url)
                stormed.ask(shaken.url)
                time.sleep(PAUSE_S)
            report = stop()
        return Measured(quiet, stormed, peak_bytes(still), peak_bytes(shaken), report, _counted(shaken.url))


def _counted(url: str) -> str:
    """Return what the server has counted, in one line."""
    text = httpx2.get(f"{url}metrics", timeout=_PATIENCE_S, trust_env=False).text
    counts = re.findall(r'^balancer_sandbox_(\w+)_total\{\w+="(\w+)"\} ([\d.e+]+)$', text, re.M)
    return ", ".join(f"{what} {which} {float(count):.0f}" for what, which, count in counts)


def peak_bytes(server: RunningServer) -> int:
    """Return the largest resident size that the server's process has had."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _row(name: str, probed: Probed, peak: int) -> Row:
    others = {end: number for end, number in probed.ends.items() if end.startswith("none")}
    none = json.dumps(others) if others else "0"
    times = [f"{1000 * probed.quantile_s(share):.0f}" for share in (0.5, 0.99, 1.0)]
    ends = probed.ends["answered"], probed.ends["busy"]
    return name, len(probed.seconds), *ends, none, *times, f"{peak / 2**20:.0f}"


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "an eighth of the storm, for 8 s", seconds=(float, "how long the storm lasts"))
    storm = SHORT if asked.short else FULL
    needs = storm.half_open + 1024
    if (allowed := open_files(needs)) < needs:
        sys.exit(f"ulimit -n allows {allowed} open files at most; the storm needs {needs}")
    done = measure(storm, seconds=asked.seconds or storm.over_s)
    rows = [_row("quiet", done.quiet, done.quiet_peak), _row("in the storm", done.stormed, done.stormed_peak)]
    stream("server | asked | answered | busy | none | p50, ms | p99 | max | peak MiB", rows)
    statuses = ", ".join(f"{status}: {number}" for status, number in sorted(done.report.statuses.items()))
    print(
        f"\n{storm.half_open} half-open connections (opened {done.report.opened} times), {storm.bodies} bodies of "
        f"{storm.body_bytes / 1e6:.0f} MB at once (answers {statuses or 'none'}), {done.report.abandoned} programs "
        f"abandoned\nthe server counted: {done.counted}"
    )


if __name__ == "__main__":
    main()
