"""`balancer check`: what a config would run, and every mistake in it.

One mistake hides no other. No program of a problem is run; each endpoint that answers runs a tiny one.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from balancer.commands.first_contact import ACCEPTS, NO_TOKEN, FirstContact
from balancer.commands.pings import unreached
from balancer.commands.policies import policy_lines, warnings
from balancer.discovery.begin import discoveries_of
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, ConfigError, MissingExtra, NotConnected
from balancer.opening.connected import ConnectedPool, connected_as
from balancer.opening.pool import Pool
from balancer.plugins.extras import has, require
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Executor
from balancer.reporting.words import count
from balancer.sandbox.executors import executor_maker, languages_of
from balancer.sandbox.probes import HELLO_LIMITS, pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config
from balancer.settings.pipeline import PipelineSettings

if TYPE_CHECKING:
    from balancer.pipeline.packages.read import Packages

__all__ = ["Checked", "check_config"]

_SERVER_S: Final = 5.0  # for the server of a pool
_PROGRAM_S: Final = 60.0  # for the tiny program, where a runtime may start slowly
_ROWS_S: Final = 60.0  # for reading rows
_MOST_LINES: Final = 24  # with more endpoints, only those that do not answer get a line
_EVERY_LANGUAGE: Final = ("cpp", "java", "python", "python2")  # of a row


@dataclass(slots=True)
class Checked:
    """Result of a check.

    Attributes:
        lines: the text output.
        data: the same as data, for JSON.
        mistakes: a line for each thing to correct.
        silent: a line for each endpoint that does not answer.
    """

    lines: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    def wrong(self, error: BalancerError) -> None:
        """Add the mistakes of an error, each once."""
        self.mistakes += [line for line in dict.fromkeys(str(error).splitlines()) if line not in self.mistakes]


def check_config(config: Config, registry: Registry, *, offline: bool = False) -> Checked:
    """Return what `config` would run, and all its mistakes.

    Args:
        offline: do not ask the endpoints whether they answer.
    """
    checked, served = Checked(), config.pool.connect is not None
    packages = _packages_of(config)
    with ExitStack() as stack:
        pool = _pool_of(config, registry, checked, offline=offline)
        if pool is not None:
            stack.callback(pool.close)
        if not served or pool is not None:
            endpoints = config.pool_endpoints if pool is None else pool.endpoints()
            among = _languages_of_problems(config, packages)
            _check_endpoints(config, registry, endpoints, checked, offline=offline, among=among)
    checked.lines += policy_lines(config)
    checked.data["tenants"] = [config.redact(each.name) for each in config.proxy.tenants]
    checked.data["warnings"] = [config.redact(line) for line in warnings(config)]
    checked.lines += [f"warning    {line}" for line in checked.data["warnings"]]
    decided = {  # not known here, if a server decides
        "health": asdict(config.health) if config.health else None,
        "limits": asdict(config.limits),
        "host_caps": dict(config.host_caps),
        "quotas": {name: asdict(quota) for name, quota in config.quotas.items()},
        "holders": {name: asdict(holder) for name, holder in config.holders.items()},
    }
    checked.data |= dict.fromkeys(decided) if served else decided
    checked.data |= {"retries": asdict(config.retries), "pipeline": None}
    if config.pipeline is None:
        checked.lines.append("pipeline   none: the config has a pool but no [pipeline]")
    else:
        _check_pipeline(config, config.pipeline, registry, packages, checked)
    checked.mistakes[:] = map(config.redact, checked.mistakes)
    checked.silent[:] = map(config.redact, checked.silent)
    return checked


# -- the pool ------------------------------------------------------------------------------------------


def _pool_of(config: Config, registry: Registry, checked: Checked, *, offline: bool) -> Pool | None:
    """Open the pool, and report its server, strategy and sources; None if it cannot be opened."""
    chosen, redact = config.pool, config.redact
    served = chosen.connect and redact(chosen.connect)
    server: dict[str, Any] = {"url": served, "answers": None, "error": None, "epoch": None, "ttl_s": None}
    checked.data |= {"server": server if served else None, "strategy": None, "sources": []}
    checked.data |= {"endpoints": [], "protections": [], "languages": []}
    if served is not None and offline:
        checked.lines.append(f"server     {served}, not contacted")
        return None
    if served is None:
        try:
            options = registry.strategy_options(chosen.strategy, chosen.options).model_dump()
            registry.strategy(chosen.strategy, chosen.options, Random(0))
        except ConfigError as error:
            checked.wrong(config.located("pool", error))
            chosen = chosen.model_copy(update={"strategy": "fifo", "options": {}})
        else:
            # Texts as the file has them: they may come from the environment.
            options |= {name: redact(value) for name, value in chosen.options.items() if isinstance(value, str)}
            checked.data["strategy"] = {"name": chosen.strategy, "options": options}
            checked.lines.append(f"strategy   {redact(chosen.strategy)} {options or ''}".rstrip())
    try:
        if offline:
            discoveries_of(config, registry, lambda _: None, time.monotonic)  # its options are checked
            checked.lines += [f"source     {name}, not asked" for name in config.discovery]
            return None
        if served is not None:
            pool: Pool = connected_as(config, within_s=_SERVER_S)
        else:
            only = config.model_copy(update={"trace": None, "pool": chosen})
            pool = Pool.from_config(only, registry=registry)
    except NotConnected as error:
        server |= {"answers": False, "error": redact(error.why)}
        checked.silent.append(str(error))
        return None
    except (ConfigError, MissingExtra) as error:
        checked.wrong(error)
        return None
    if isinstance(pool, ConnectedPool):
        _, epoch, ttl_s = pool.served
        server |= {"answers": True, "epoch": epoch, "ttl_s": ttl_s}
        since = datetime.fromtimestamp(epoch / 1000).isoformat(" ", "seconds")
        strategy = pool.stats().strategy
        checked.data["strategy"] = {"name": strategy, "options": {}}
        checked.lines += [f"server     {served} answers: started {since}, TTL {ttl_s:g} s", f"strategy   {strategy}"]
    for each in pool.stats().sources:
        checked.data["sources"].append({"name": each.name, "kind": each.kind, "endpoints": each.endpoints})
        checked.lines.append(f"source     {each.name} ({each.kind}): {each.endpoints} endpoints")
        if not each.endpoints:
            why = each.trouble or "no answer within wait_s"
            checked.silent.append(f"{config.file}: discovery.{each.name}: {why}")
    return pool


# -- endpoints -----------------------------------------------------------------------------------------


def _check_endpoints(
    config: Config,
    registry: Registry,
    endpoints: Sequence[Endpoint],
    checked: Checked,
    *,
    offline: bool,
    among: frozenset[str] | None,
) -> None:
    """Report the endpoints and what they answer. `among`: the languages of the problems; None: all matter."""
    names = ("name", "url", "capacity", "weight", "group", "quota")
    found: dict[str, dict[str, Any]] = {
        each.name: {name: getattr(each, name) for name in names}
        | {"labels": sorted(each.labels), "answers": None, "error": None, "said": ""}
        for each in endpoints
    }
    groups: Counter[int] = Counter()
    for each in endpoints:
        groups[each.group] += each.capacity
    told = ", ".join(f"{slots} in group {group}" for group, slots in sorted(groups.items())) if len(groups) > 1 else ""
    checked.lines.append(f"endpoints  {len(found)} with {groups.total()} slots{told and f': {told}'}")
    languages: str | None = None
    with Scratch("balancer-check-") as cache, ExitStack() as stack:
        executors: dict[str, Executor] = {}
        make = executor_maker(registry, cache.path, config)
        wrong: dict[str, ConfigError] = {}
        try:
            for endpoint in endpoints:
                try:
                    executors[endpoint.name] = made = make(endpoint)
                    stack.callback(made.close)
                except ConfigError as error:  # once for all endpoints of a range
                    wrong.setdefault(str(error).replace(endpoint.name, ""), error)
        except MissingExtra as error:  # a pool works without executors
            languages, executors = f"unknown: {error}", {}
        for mistake in wrong.values():
            checked.wrong(mistake)
        running: Mapping[str, Executor] = executors
        if not offline and not checked.mistakes:
            running = _ask_all(config, endpoints, found, executors, checked)
        if offline:  # only what needs no question to a server
            named = {each.name for entry in config.endpoints if entry.languages is not None for each in entry.specs}
            running = {
                name: each
                for name, each in executors.items()
                if name in named or found[name]["url"].startswith("local:")
            }
        if languages is None and not checked.mistakes:
            known = languages_of(running, None if offline else among)
            checked.data["languages"] = sorted(known if among is None else known & among)
            unknown = None if among is None else "unknown: no endpoint has run a program"
            languages = ", ".join(checked.data["languages"]) or unknown
        protections: dict[Any, list[str]] = {}
        for name, executor in executors.items():
            if of_runs := getattr(executor, "protections", None):
                protections.setdefault(of_runs, []).append(name)
    checked.data["endpoints"] = list(found.values())
    checked.lines += _endpoint_lines(found, config.redact)
    for (in_force, missing), (first, *others) in protections.items():
        checked.data["protections"].append(
            {"endpoints": [first, *others], "in_force": list(in_force), "missing": list(missing)}
        )
        where = config.redact(first) + (f" and {len(others)} more" if others else "")
        checked.lines.append(f"protection {'; '.join(in_force) or 'NONE'} ({where})")
        checked.lines += [f"           NOT in force: {words}" for words in missing]
    checked.lines += [f"languages  {languages}"] if languages else []


def _ask_all(
    config: Config,
    endpoints: Sequence[Endpoint],
    found: dict[str, dict[str, Any]],
    executors: Mapping[str, Executor],
    checked: Checked,
) -> dict[str, Executor]:
    """Ask all endpoints, and report what they answer. Return the executors of those that have run a program."""
    if config.pipeline is None:  # the protocol of the endpoints is unknown
        asked = {each.name: FirstContact(each, executors.get(each.name)) for each in endpoints}
        failing = unreached(asked, within_s=_PROGRAM_S)
        said = {name: each.said for name, each in asked.items()}
        without = {name: words for name, words in said.items() if NO_TOKEN in words and name not in failing}
        if len(without) + len(failing) == len(said):  # else others serve, or clients bring tokens of their own
            failing |= without
        running = {name for name, each in asked.items() if each.runs_programs}
    else:
        failing = unreached({name: executor.ping for name, executor in executors.items()})
        answering = {name: executor for name, executor in executors.items() if name not in failing}
        failing |= unreached(pings_of(answering, "program", HELLO_LIMITS), within_s=_PROGRAM_S)
        running = executors.keys() - failing.keys()
        said = dict.fromkeys(executors, "answers")
    for name, words in said.items():
        why = failing.get(name)
        answers = False if why is not None else None if words in ("", ACCEPTS) else True
        found[name] |= {"answers": answers, "error": why, "said": "" if why is not None else words}
        if why is not None:
            does = why if NO_TOKEN in why else f"does not answer: {why}"
            checked.silent.append(f"endpoint {name} {does}")
    return {name: executor for name, executor in executors.items() if name in running}


def _endpoint_lines(found: Mapping[str, dict[str, Any]], redact: Callable[[str], str]) -> Iterator[str]:
    grouped = any(each["group"] for each in found.values())
    shown = [each for each in found.values() if len(found) <= _MOST_LINES or each["answers"] is False]
    for each in shown[:_MOST_LINES]:
        said = each["said"]
        if each["answers"] is False:
            said = "WANTS A TOKEN" if NO_TOKEN in each["error"] else "DOES NOT ANSWER"
        where = "" if each["name"] == each["url"] else f" at {redact(each['url'])}"
        facts = [f"{key} {each[key]:g}" for key in ("capacity", "weight", *["group"] * grouped)]
        facts += [f"labels {', '.join(map(redact, each['labels']))}"] if each["labels"] else []
        facts += [f"quota {redact(each['quota'])}"] if each["quota"] is not None else []
        yield f"           {redact(each['name'])}{where} {', '.join(facts)}{said and f': {said}'}"
    asked = [each["answers"] for each in found.values() if each["answers"] is not None]
    if len(found) > _MOST_LINES and asked:
        yield f"           {sum(asked)} of {len(asked)} answer"


# -- problems and rows ---------------------------------------------------------------------------------


def _told(problem: Problem) -> dict[str, Any]:
    """Return what is told of a problem. The problem itself is not kept: rows may be many."""
    return {"accepted": len(problem.accepted), "wrong": len(problem.wrong), "left_out": problem.left_out}


def _packages_of(config: Config) -> "Packages | BalancerError | None":
    """Return the problem packages of the config, or why they cannot be read; None: it has none."""
    settings = config.pipeline
    if settings is None or not settings.problems or not has("pipeline"):
        return None
    from balancer.pipeline.packages.read import read_packages  # they need the extra
    from balancer.pipeline.rows.raw import are_rows
    from balancer.pipeline.running.problem_source import with_python

    if are_rows(settings.problems):
        return None
    try:
        # Without their data: all of it at once may not fit in memory.
        change = partial(with_python, python=settings.python)
        return read_packages(Path(settings.problems), whole=False, change=change)
    except BalancerError as error:
        return error


def _languages_of_problems(config: Config, packages: "Packages | BalancerError | None") -> frozenset[str] | None:
    """Return the languages that a run would ask the endpoints for; None: there is no [pipeline]."""
    if config.pipeline is None or not has("pipeline"):
        return None
    from balancer.pipeline.running.problem_source import languages_in

    known = () if packages is None or isinstance(packages, BalancerError) else packages.read
    return languages_in(known, config.pipeline.python)


def _check_pipeline(
    config: Config,
    settings: PipelineSettings,
    registry: Registry,
    packages: "Packages | BalancerError | None",
    checked: Checked,
) -> None:
    try:
        require("pipeline", '"balancer check" of a config with [pipeline]')
    except MissingExtra as error:
        checked.wrong(error)
        return
    from balancer.pipeline.rows.raw import are_rows  # they need the extra
    from balancer.pipeline.running.problem_source import lines_on_missing
    from balancer.pipeline.running.run import find_generators

    try:
        find_generators(config, registry)
        if "llm" in settings.generators:
            require("llm", 'the generator "llm"')
    except (ConfigError, MissingExtra) as error:
        checked.wrong(error)
    found: dict[str, dict[str, Any]] = {}
    not_used: dict[str, str] = {}
    lines: list[str] = []
    place = config.redact(settings.problems)
    if are_rows(settings.problems):
        said = _rows(place, settings, checked, found, not_used, lines)
    else:
        if isinstance(packages, BalancerError):
            checked.wrong(packages)
        elif packages is not None:  # else it is a mistake that was reported
            found, not_used = (
                {each.id: _told(each) for each in packages.read},
                {each.name: each.why for each in packages.left_out},
            )
            known = checked.data["languages"]  # unknown for a server that was not asked
            lines += lines_on_missing(packages.read, known) if known else []
        said = f"{len(found)} in {place}"
        lines += [
            f"{id}/{name} is left out: {why}" for id, each in found.items() for name, why in each["left_out"].items()
        ]
    accepted, wrong = (sum(each[name] for each in found.values()) for name in ("accepted", "wrong"))
    checked.lines.append(f"problems   {said}: {accepted} accepted, {wrong} wrong submissions")
    lines = [*(f"{name} is left out: {why}" for name, why in not_used.items()), *lines]
    more = [f"and {len(lines) - _MOST_LINES} more lines like these: see --json"] * (len(lines) > _MOST_LINES)
    checked.lines += [f"           {config.redact(line)}" for line in (*lines[:_MOST_LINES], *more)]
    checked.lines += [
        f"inputs     from {', '.join(map(config.redact, settings.generators))}: "
        f"at most {settings.max_inputs} beyond a problem's own, seed {settings.seed}"
        + (f", within {settings.budget_s:g} s of each problem (budget_s)" if settings.budget_s else ""),
        f"workers    {settings.sample_level_workers} samples x {settings.output_generation_workers} for outputs, "
        f"{settings.solution_validation_workers} for solutions",
        f"results    {config.redact(settings.results)}",
    ]
    checked.data["pipeline"] = {
        **settings.model_dump(),
        "found": found,
        "packages_left_out": {name: config.redact(why) for name, why in not_used.items()},
    }


def _rows(
    place: str,
    settings: PipelineSettings,
    checked: Checked,
    found: dict[str, Any],
    bad: dict[str, str],
    lines: list[str],
) -> str:
    """Put the usable rows into `found`, the others into `bad`, and what is not used into `lines`. Return a summary."""
    from balancer.pipeline.results.tally import cost_of_missing, why_left_out
    from balancer.pipeline.rows.raw import count_rows
    from balancer.pipeline.rows.read import BadRow, read_rows

    languages = checked.data["languages"] or _EVERY_LANGUAGE  # unknown for a server that was not asked
    notes, lost, rows = Counter[str](), Counter[str](), Counter[str]()
    until_s, said = time.monotonic() + _ROWS_S, ""
    try:
        many = count_rows(settings.problems, settings.rows.split)
        for number, read in read_rows(settings.problems, settings.rows, languages):
            if isinstance(read, BadRow):
                bad[f"row {number}"] = read.why
            else:
                found[read.id] = _told(read)
                notes.update(read.notes)
                cost = cost_of_missing(read.left_out)
                lost.update(cost)
                rows.update(cost.keys())
            if time.monotonic() > until_s:
                said = f" (those up to row {number}: it stops after {_ROWS_S:.0f} s)"
                break
    except BalancerError as error:
        checked.wrong(error)
        return f"rows of {place}, not readable"
    lines += [f"columns are {note} ({count(times, 'row')})" for note, times in notes.items()]
    lines += [
        f"{why_left_out(language)}: {count(times, 'submission')} of {count(rows[language], 'row')} left out"
        for language, times in sorted(lost.items())
    ]
    of_many = "" if many is None or many == len(found) else f" of {many}"
    from_0 = ", counted from 0" if bad or said else ""
    return f"{len(found)}{of_many} rows of {place}{from_0}{said}"
