"""What a scenario cannot mean is refused when it is read: a line that names the place, what was found, what to do."""

import re
from pathlib import Path

import balancer_simulator
import pytest
from balancer_simulator import Poisson, Scenario, load_scenario

from balancer.errors import ConfigError, MissingExtra
from balancer.settings.rules import HealthSettings

_REST = '[workload]\nkind = "poisson"\nrate_per_s = 1.0\n[[endpoints]]\nurl = "http://a/"\n'


def read(folder: Path, text: str) -> Scenario:
    path = folder / "s.toml"
    path.write_text(text)
    return load_scenario(path)


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    (line,) = caught.value.problems
    return line.removeprefix(f"{folder / 's.toml'}: ")


def poisson(rate_per_s: float, url: str = "http://{1..4}/") -> str:
    return f'[workload]\nkind = "poisson"\nrate_per_s = {rate_per_s}\n[[endpoints]]\nurl = "{url}"\n'


def bursty(**values: float) -> str:
    return "\n".join(['[workload]\nkind = "on_off"', *(f"{name} = {value}" for name, value in values.items()), _FOUR])


def fault(kind: str, window: str) -> str:
    return f'{_REST}faults = [{{ kind = "slow_within" }}, {{ kind = "{kind}", {window} }}]\n'


def recorded(work_s: list[float]) -> str:
    return f'[workload]\nkind = "arrivals"\nat_s = [0.0, 8.0, 16.0, 24.0]\nwork_s = {work_s}\n{_FOUR}'


def change(values: str) -> str:
    return f"{_REST}[[changes]]\nurl = 'http://a/'\n{values}\n"


def second(values: str) -> str:
    return f"{_REST}[[endpoints]]\n{values}\n"


_CRASH = '{ kind = "crash_repair", mtbf_s = 10.0, mttr_s = 1.0'
_FOUR = '[[endpoints]]\nurl = "http://{1..4}/"\n'
_CROWD = '[workload]\nkind = "closed"\nworkers = 1000000\n'
_KINDS = '[[requests.kinds]]\nname = "big"\nslots = 3\n'

_AT_ONCE = '{ kind = "deterministic", mean_s = 0.0 }'
_MANY = 'kind = "batch"\nsamples = 1000000\nstages = [{ name = "a", tasks = 1000, workers = 1 }]\n'
_CRASHES = 'faults = [{ kind = "crash_repair", mtbf_s = 1e-6, mttr_s = 3e-6 }]\n'
_GROUP = f'{_REST}[[endpoints]]\nurl = "b"\ngroup = 1\n'
_LABELLED = f'{_REST}capacity = 4\n[[endpoints]]\nurl = "http://b/"\nlabels = ["x"]\n{_KINDS}labels = ["x"]\n'
_LATE = "the run ends at horizon_s = 1000; it must be less"
_ENDLESS = "in a run, and at most 100,000,000 are allowed; change it or lower horizon_s, which is 1000"

_CLOSED = '[workload]\nkind = "closed"\nworkers = 2\n[[endpoints]]\nurl = "http://a/"\n'
# Times that would never let a run end.
_BRIEF = [
    ("endpoints[0].faults[0].after_s", 'faults = [{{ kind = "fail_within", after_s = {} }}]', ": it must be 0 or at"),
    ("endpoints[0].faults[0].refuse_s", f"faults = [{{{_CRASH}, refuse_s = {{}} }}}}]", ": it must be 0 or at least"),
    ("endpoints[0].refuse_s", "refuse_s = {}", ": it must be 0 or at least 1e-06"),
    ("requests.kinds[0].acquire_timeout_s", "[[requests.kinds]]\nacquire_timeout_s = {}", ": it must be >= 1e-06"),
    ("requests.call_timeout_s", "[requests]\ncall_timeout_s = {}", ": it must be >= 1e-06"),
    ("requests.hedge_after_s", "[requests]\nhedge_after_s = {}", ": it must be >= 1e-06"),
]

# How each refusal begins. That one of them is whole is tested below.
_REFUSED = [
    (poisson(1e12, "http://a/"), f"workload.rate_per_s: makes about 1e+15 requests {_ENDLESS}"),
    (bursty(on_rate_per_s=1e6, on_s=30.0, off_s=10.0), "workload.on_rate_per_s: makes about 7.5e+08 requests"),
    (bursty(on_rate_per_s=1.0, on_s=1e-6, off_s=1e-6), "workload.on_s: makes about 5e+08 bursts"),
    (
        f"{_CROWD}[work]\n{_AT_ONCE[2:-2].replace(',', chr(10))}\n{_FOUR}",
        "workload.workers: makes about 1e+12 requests",
    ),
    (f"[workload]\n{_MANY}{_FOUR}", "workload.samples: makes about 1e+09 requests"),
    (poisson(1.0) + _CRASHES, "endpoints[0].faults[0].mtbf_s: makes about 1e+09 crashes"),
    # What never happens.
    *(
        (fault("slow_within", window), f"endpoints[0].faults[1]: {line}")
        for window, line in (
            ("from_s = 5.0, to_s = 5.0", "from_s is 5 and to_s 5; from_s must be less"),
            ("from_s = 1000.0", "from_s is 1000, and the run ends at horizon_s = 1000; begin before that"),
        )
    ),
    (
        fault("fail_within", "to_s = 5.0") + "from_s = 5.0\n",
        "endpoints[0].faults[1]: to_s is 5, and the endpoint joins",
    ),
    (f"{_REST}from_s = 1000.0\n", f"endpoints[0].from_s: found 1000, and {_LATE}"),
    (change("at_s = 1e3\ndo = 'drain'"), f"changes[0].at_s: found 1000, and {_LATE}"),
    (change("at_s = 1.0\ndo = 'update'"), "changes[0]: 'update' needs capacity or weight, or both"),
    *(
        (change(f"at_s = 1.0\ndo = '{do}'\ncapacity = 2"), f"changes[0]: '{do}' takes neither capacity nor weight")
        for do in ("add", "drain", "remove")
    ),
    (second("url = 'HTTP://A/'"), "endpoints: 'http://a' is listed twice; URLs must differ"),
    # Endpoints follow the rules of configs.
    (second('url = "a:80"'), "endpoints[1].url: found 'a:80': it has a port and no scheme; write 'http://a:80'"),
    (second('url = "http://me:pw@h/"'), "endpoints[1].url: found a value that is not shown: put credentials in"),
    (second('url = "b"\ncapacity = 1000001'), "endpoints[1].capacity: found 1000001: it must be <= 1000000"),
    (_REST + "[hosts.'h{2..1}']\ncores = 2\n", "hosts: 'h{2..1}' has the range {2..1}, which runs backwards"),
    # Rules.
    (f'{_REST}[health]\nping = "program"\n', "health.ping: found 'program'; active probes are not simulated"),
    (f"{_REST}[health]\nenabled = false\ncooldown_s = 0.0\n", "health.cooldown_s: found 0.0"),
    (f"{_REST}[limits]\nkind = 'aimed'\n", "limits.kind: found "),
    (f"{_REST}[host_caps]\nb = 2\n", "host_caps: no endpoint is on 'b'"),
    (f"{_REST}[retries]\nbudget_ratio = -1.0\n", "retries.budget_ratio: found "),
    (f"{_REST}[requests]\nhedge_after_s = 3.0\ncall_timeout_s = 3.0\n", "requests.hedge_after_s: found 3, but a call"),
    (f"{_REST}capacity = 2\n{_KINDS}", "requests.kinds: 'big' takes 3 slots, and no endpoint that it may use has more"),
    (_LABELLED, "requests.kinds: 'big' takes 3 slots, and no endpoint that it may use has more than 1"),
    (f"{_REST}retry_after_s = 2.0\n", "endpoints[0].retry_after_s: found 2 without refuse_beyond; give both"),
    (recorded([1.0, 2.0]), "workload: work_s has 2 values and at_s has 4; give one for each"),
    (f"{_REST}services = {{ x = {_AT_ONCE} }}\n", "endpoints[0].services: requests.kinds has no 'x'; there are all"),
    *((_CLOSED + text.format("9.9e-7"), f"{place}: found 9.9e-07{allowed}") for place, text, allowed in _BRIEF),
    # Overflow.
    (f"max_waiters = 0\n{_GROUP}", "max_waiters is 0 and spill_after_s is absent: what finds group 0 full is lost"),
]


@pytest.mark.parametrize(("text", "line"), _REFUSED)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path, text, line):
    assert complaint(tmp_path, text).startswith(line)


@pytest.mark.parametrize(
    "text",
    [
        poisson(1e5, "http://a/"),
        # The endpoints bound what the workers can ask: 4000 calls of a second at once, for 1000 s.
        f"{_CROWD}{_FOUR}capacity = 1000\n",
        fault("slow_within", "from_s = 5.0, to_s = 1001.0"),
        fault("fail_within", "to_s = 5.5") + "from_s = 5.0\n",
        *(
            change(f"at_s = 1.0\ndo = 'update'\n{values}")
            for values in ("capacity = 2", "weight = 2.0", "capacity = 2\nweight = 2.0")
        ),
        f"{_REST}[host_caps]\na = 2\n'*' = 3\n",
        f"{_REST}refuse_beyond = 1\nretry_after_s = 2.0\n",
        f"{_REST}faults = [{_CRASH} }}, {_CRASH}, refuse_s = 1.0 }}]\n",
        f"max_waiters = 0\nspill_after_s = 0.0\n{_GROUP}",
        f"max_waiters = 1\n{_GROUP}",
        f"{_REST}[requests]\nhedge_after_s = 2.0\ncall_timeout_s = 3.0\n[retries]\n[health]\n[limits]\n",
        change("at_s = 1.0\ndo = 'update'\ncapacity = 3") + _KINDS,
        *(_CLOSED + text.format("1e-6") for _, text, _ in _BRIEF),
        *(_CLOSED + text.format("0.0") for _, text, allowed in _BRIEF if "0 or" in allowed),
    ],
)
def test_what_can_be_meant_is_not(tmp_path, text):
    read(tmp_path, text)


# -- names ------------------------------------------------------------------------------------------


def test_a_range_of_hosts_has_cores_for_each(tmp_path):
    cluster = _REST.replace("http://a/", "http://10.0.0.{1..3}:{8080..8083}/")
    found = read(tmp_path, f'{cluster}[hosts."10.0.0.{{1..2}}"]\ncores = 2\n[hosts."10.0.0.3"]\ncores = 4\n')
    assert {name: host.cores for name, host in found.hosts.items()} == {"10.0.0.1": 2, "10.0.0.2": 2, "10.0.0.3": 4}
    line = complaint(tmp_path, f'{cluster}[hosts."10.0.0.{{1..2}}"]\ncores = 2\n[hosts."10.0.0.2"]\ncores = 4\n')
    assert line == "hosts: '10.0.0.2' is listed twice; names, with ranges expanded, must differ"
    line = complaint(tmp_path, f'{cluster}[hosts."10.0.0.{{3..4}}"]\ncores = 2\n')
    assert line == "hosts: no endpoint is on '10.0.0.4'"


def test_without_its_extra_a_name_says_which_it_needs(monkeypatch):
    def missing(name: str) -> object:
        raise ModuleNotFoundError("No module named 'simpy'")

    monkeypatch.setattr(balancer_simulator, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="simpy"):  # nothing of the extra is missing: it is another fault
        _ = balancer_simulator.run_study
    monkeypatch.setattr("balancer.plugins.extras._missing", lambda extra: ("simpy",))
    with pytest.raises(MissingExtra, match=r"balancer_simulator\.run_study.*simulator"):
        _ = balancer_simulator.run_study


def test_a_mistake_in_python_is_a_line_as_in_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"^Poisson: rate: unknown key; did you mean 'rate_per_s'\?") as caught:
        Poisson(rate_per_s=1.0, rate=6)
    assert "pydantic" not in str(caught.value)
    with pytest.raises(TypeError, match=re.escape("by its name: Poisson(rate_per_s=1.0)")):
        Poisson(1.0)
    scenario = read(tmp_path, f'{_REST}[work]\nkind = "deterministic"\nmean_s = 1e-9\n')
    with pytest.raises(ConfigError, match=r"workload\.rate_per_s: makes about 5e\+11 requests"):
        scenario.at_load(0.5)
    assert read(tmp_path, f"{_REST}[health]\nenabled = false\ncooldown_s = 3.0\n").health is None
    changed = scenario.changed(health=HealthSettings(cooldown_s=3.0))
    assert Scenario.model_validate(changed.to_data()) == changed


def test_a_change_finds_its_endpoint_however_the_url_is_written(tmp_path):
    text = change("at_s = 1.0\ndo = 'update'\ncapacity = 2").replace("url = 'http://a/'", "url = 'HTTP://A:80'")
    assert read(tmp_path, text).most_leases == {"http://a/": 2}
