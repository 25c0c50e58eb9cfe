"""`balancer check`: what a config would run, and every mistake in it.

One mistake hides no other. No program of a problem is run; each endpoint that answers runs a tiny one.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from balancer.opening.connected import connected_as
from balancer.opening.pool import Pool
from balancer.plugins.extras import has, require
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Executor
from balancer.reporting.words import count
from balancer.sandbox.executors import executor_maker, languages_of, make_executors
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
_EVERY_LANGUAGE = ("cpp", "java", "python", "python2")  # of a row


@dataclass(frozen=True, slots=True)
class _Found:
    """What is told of a problem. The problem itself is not kept: rows may be many."""

    id: str
    accepted: int
    wrong: int
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, problem: Problem) -> "_Found":
        return cls(problem.id, len(problem.accepted), len(problem.wrong), problem.left_out, problem.notes)


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


def check_config(config: Config, registry: Registry, *, offline: bool = False) -> Checked:
    """Return what `config` would run, and all its mistakes.

    Args:
        offline: do not ask the endpoints whether they answer.
    """
    checked = Checked()
    packages = _packages_of(config)
    among = _languages_of_problems(config, packages)
    with ExitStack() as stack:
        if config.pool.connect is None:
            checked.data["server"] = None
            _check_strategy(config, registry, checked)
            discovered = _check_sources(config, registry, checked, offline=offline)
            _check_endpoints(
                config,
                (*config.pool_endpoints, *discovered),
                lambda cache: (
                    make_executors(config, registry, cache)
                    | _made_for(discovered, executor_maker(registry, cache, config), "of a source")
                ),
                checked,
                offline=offline,
                among=among,
            )
        elif (pool := _check_server(config, checked, offline=offline)) is not None:
            stack.callback(pool.close)
            _check_endpoints(
                config,
                pool.endpoints(),
                lambda cache: _made_for(pool.endpoints(), executor_maker(registry, cache, config), "of the server"),
                checked,
                offline=offline,
                among=among,
            )
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
    checked.data |= decided if config.pool.connect is None else dict.fromkeys(decided)
    checked.data |= {"retries": asdict(config.retries), "pipeline": None}
    if config.pipeline is None:
        checked.lines.append("pipeline   none: the config has a pool but no [pipeline]")
    else:
        _check_pipeline(config, config.pipeline, registry, packages, checked)
    return checked


def _check_server(config: Config, checked: Checked, *, offline: bool) -> Pool | None:
    """Connect to the server of the pool, report it, and return its pool; None if it cannot be used."""
    url = config.redact(config.pool.connect or "")
    checked.data |= {"endpoints": [], "protections": [], "languages": [], "strategy": None}
    found: dict[str, Any] = {"url": url, "answers": None, "error": None, "epoch": None, "ttl_s": None}
    checked.data["server"] = found
    if offline:
        checked.lines.append(f"server     {url}, not contacted")
        return None
    try:
        pool = connected_as(config, within_s=_SERVER_S)
    except NotConnected as error:
        found |= {"answers": False, "error": config.redact(error.why)}
        checked.silent.append(config.redact(str(error)))
        return None
    except (ConfigError, MissingExtra) as error:
        checked.mistakes += map(config.redact, str(error).splitlines())
        return None
    _, epoch, ttl_s = pool.served
    found |= {"answers": True, "epoch": epoch, "ttl_s": ttl_s}
    since = datetime.fromtimestamp(epoch / 1000).isoformat(" ", "seconds")
    checked.lines.append(f"server     {url} answers: started {since}, TTL {ttl_s:g} s")
    strategy = pool.stats().strategy
    checked.data["strategy"] = {"name": strategy, "options": {}}
    checked.lines.append(f"strategy   {strategy}")
    return pool


def _check_sources(config: Config, registry: Registry, checked: Checked, *, offline: bool) -> tuple[Endpoint, ...]:
    """Ask the sources of the config, report what they say, and return the endpoints that they list."""
    checked.data["sources"] = []
    if not config.discovery:
        return ()
    only = config.model_copy(update={"trace": None, "endpoints": []})
    try:
        with Pool.from_config(only, registry=registry, discover=not offline) as pool:
            if offline:
                discoveries_of(config, registry, pool.engine.change_endpoints, pool.clock)  # its options are checked
            found, said = pool.endpoints(), pool.stats().sources
    except (ConfigError, MissingExtra) as error:
        checked.mistakes += map(config.redact, str(error).splitlines())
        return ()
    for each in said:
        told = f"source     {each.name} ({each.kind}): "
        checked.data["sources"].append({"name": each.name, "kind": each.kind, "endpoints": each.endpoints})
        checked.lines.append(f"{told}{each.endpoints} endpoints")
        if not each.endpoints:
            why = each.trouble or "no answer within wait_s"
            checked.silent.append(f"{config.file}: discovery.{each.name}: {why}")
    if offline:
        checked.lines += [f"source     {name}, not asked" for name in config.discovery]
    return found


def _made_for(endpoints: Iterable[Endpoint], make: Callable[[Endpoint], Executor], whose: str) -> dict[str, Executor]:
    """Return an executor for each endpoint, by name. Raises ConfigError with a line for each mistake, MissingExtra."""
    made: dict[str, Executor] = {}
    mistakes: dict[str, None] = {}
    for endpoint in endpoints:
        try:
            made[endpoint.name] = make(endpoint)
        except ConfigError as error:
            mistakes |= dict.fromkeys(f"endpoint {endpoint.name} {whose}: {line}" for line in error.problems)
    if mistakes:
        for executor in made.values():
            executor.close()
        raise ConfigError(mistakes)
    return made


def _check_strategy(config: Config, registry: Registry, checked: Checked) -> None:
    pool = config.pool
    checked.data["strategy"] = {"name": pool.strategy, "options": {}}
    try:
        options = registry.strategy_options(pool.strategy, pool.options).model_dump()
        registry.strategy(pool.strategy, pool.options, Random(0))
    except ConfigError as error:
        checked.mistakes += config.located("pool", error).problems
        return
    # Texts as the file has them, redacted: they may come from the environment.
    written = {name: config.redact(value) for name, value in pool.options.items() if isinstance(value, str)}
    shown = {**options, **written}
    checked.data["strategy"]["options"] = shown
    checked.lines.append(f"strategy   {config.redact(pool.strategy)} {shown or ''}".rstrip())


def _check_endpoints(
    config: Config,
    endpoints: Iterable[Endpoint],
    make: Callable[[Path], dict[str, Executor]],
    checked: Checked,
    *,
    offline: bool,
    among: frozenset[str] | None,
) -> None:
    """Report the endpoints and what they answer. `among`: the languages of the problems; None: all matter."""
    specs = {endpoint.name: endpoint for endpoint in endpoints}
    found = {name: _endpoint(endpoint) for name, endpoint in specs.items()}
    slots = sum(endpoint["capacity"] for endpoint in found.values())
    checked.lines.append(f"endpoints  {len(found)} with {slots} slots{_groups(found)}")
    languages: str = ""
    with Scratch("balancer-check-") as cache:
        try:
            executors = make(cache.path)
        except MissingExtra as error:  # a pool works without executors
            languages, executors = f"unknown: {error}", {}
        except ConfigError as error:
            checked.mistakes += map(config.redact, error.problems)
            executors = {}
        else:
            # A server is asked for its languages, unless the config names them.
            told = {each.name for entry in config.endpoints if entry.languages is not None for each in entry.specs}
            silent = offline and any(
                name not in told and not found[name]["url"].startswith("local:") for name in executors
            )
            languages = "not contacted" if silent else ""
        running = executors
        if not offline and not checked.mistakes:
            running = _ask_all(config, specs, found, executors, checked)
        if not languages and not checked.mistakes:
            known = sorted(_languages(running, among, offline=offline)) if running else []
            unknown = "unknown: no endpoint has run a program" if among is not None else ""  # else nobody asked for any
            checked.data["languages"], languages = known, ", ".join(known) or unknown
        checked.data["protections"] = protections = _protections(executors)
        for executor in executors.values():
            executor.close()
    checked.lines += _endpoint_lines(config, found)
    checked.data["endpoints"] = list(found.values())
    if any(entry.isolation == "rlimits" for entry in config.endpoints):
        checked.lines.append(
            'isolation  NONE for some local endpoints: isolation = "rlimits" only limits time and memory'
        )
    for each in protections:
        first, *others = map(config.redact, each["endpoints"])
        where = f"{first} and {len(others)} more" if others else first
        checked.lines.append(f"protection {'; '.join(each['in_force']) or 'NONE'} ({where})")
        checked.lines += [f"           NOT in force: {words}" for words in each["missing"]]
    if languages:
        checked.lines.append(f"languages  {languages}")


def _groups(found: Mapping[str, dict[str, Any]]) -> str:
    """Return the slots of each failover group as text; "" if there is one group."""
    slots: dict[int, int] = {}
    for each in found.values():
        slots[each["group"]] = slots.get(each["group"], 0) + each["capacity"]
    told = ", ".join(f"{slots[group]} in group {group}" for group in sorted(slots))
    return f": {told}" if len(slots) > 1 else ""


def _protections(executors: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the protections of runs, with the endpoints that have the same ones in one entry."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name, executor in executors.items():
        if told := getattr(executor, "protections", None):
            found.setdefault(told, []).append(name)
    return [
        {"endpoints": names, "in_force": list(in_force), "missing": list(missing)}
        for (in_force, missing), names in found.items()
    ]


def _endpoint(endpoint: Any) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "url": endpoint.url,
        "capacity": endpoint.capacity,
        "weight": endpoint.weight,
        "labels": sorted(endpoint.labels),
        "group": endpoint.group,
        "quota": endpoint.quota,
        "answers": None,
        "error": None,
        "said": "",
    }


def _languages(executors: Mapping[str, Executor], among: frozenset[str] | None, *, offline: bool) -> frozenset[str]:
    """Return the languages that some endpoint runs, of those that a run asks for; it asks in the same way."""
    if offline:  # no program is run
        known = languages_of(executors)
        return known if among is None else known & among
    return languages_of(executors, among)


def _ask_all(
    config: Config,
    specs: Mapping[str, Endpoint],
    found: dict[str, dict[str, Any]],
    executors: Mapping[str, Executor],
    checked: Checked,
) -> dict[str, Executor]:
    """Ask all endpoints, and report what they answer. Return the executors of those that have run a program."""
    if config.pipeline is None:  # the protocol of the endpoints is unknown
        asked = {name: FirstContact(endpoint, executors.get(name)) for name, endpoint in specs.items()}
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
            checked.silent.append(config.redact(f"endpoint {name} {does}"))
    return {name: executor for name, executor in executors.items() if name in running}


def _endpoint_lines(config: Config, found: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    grouped = any(each["group"] for each in found.values())
    shown = [each for each in found.values() if len(found) <= _MOST_LINES or each["answers"] is False]
    for endpoint in shown[:_MOST_LINES]:
        more = [f"labels {', '.join(map(config.redact, endpoint['labels']))}"] if endpoint["labels"] else []
        more += [f"group {endpoint['group']}"] if grouped else []
        more += [f"quota {config.redact(endpoint['quota'])}"] if endpoint["quota"] is not None else []
        said = endpoint["said"]
        if endpoint["answers"] is False:
            said = "WANTS A TOKEN" if NO_TOKEN in endpoint["error"] else "DOES NOT ANSWER"
        name = config.redact(endpoint["name"])
        if endpoint["name"] != endpoint["url"]:
            name += f" at {config.redact(endpoint['url'])}"
        facts = [f"capacity {endpoint['capacity']}", f"weight {endpoint['weight']:g}", *more]
        yield f"           {name} {', '.join(facts)}{f': {said}' if said else ''}"
    if len(found) > _MOST_LINES:
        asked = [each["answers"] for each in found.values() if each["answers"] is not None]
        if asked:
            yield f"           {sum(asked)} of {len(asked)} answer"


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
        checked.mistakes.append(str(error))
        return
    from balancer.pipeline.rows.raw import are_rows  # they need the extra
    from balancer.pipeline.running.problem_source import lines_on_missing
    from balancer.pipeline.running.run import find_generators

    redact = config.redact
    try:
        find_generators(config, registry)
        if "llm" in settings.generators:
            require("llm", 'the generator "llm"')
    except ConfigError as error:
        checked.mistakes += error.problems
    except MissingExtra as error:
        checked.mistakes.append(str(error))
    if are_rows(settings.problems):
        found, said, not_used = _rows(config, settings, checked)
        lines = _on_rows(found)
    else:
        problems, not_used = _problems(config, packages, checked)
        found, said = [*map(_Found.of, problems)], f"{len(problems)} in {redact(settings.problems)}"
        known = checked.data.get("languages")  # unknown for a server that was not asked
        lines = [*lines_on_missing(problems, known)] if known else []
        lines += [f"{each.id}/{name} is left out: {why}" for each in found for name, why in each.left_out.items()]
    accepted, wrong = sum(each.accepted for each in found), sum(each.wrong for each in found)
    checked.lines.append(f"problems   {said}: {accepted} accepted, {wrong} wrong submissions")
    lines = [*(f"{name} is left out: {why}" for name, why in not_used.items()), *lines]
    more = [f"and {len(lines) - _MOST_LINES} more lines like these: see --json"] * (len(lines) > _MOST_LINES)
    checked.lines += [f"           {redact(line)}" for line in (*lines[:_MOST_LINES], *more)]
    checked.lines += [
        f"inputs     from {', '.join(map(redact, settings.generators))}: "
        f"at most {settings.max_inputs} beyond a problem's own, seed {settings.seed}"
        + (f", within {settings.budget_s:g} s of each problem (budget_s)" if settings.budget_s else ""),
        f"workers    {settings.sample_level_workers} samples x {settings.output_generation_workers} for outputs, "
        f"{settings.solution_validation_workers} for solutions",
        f"results    {redact(settings.results)}",
    ]
    checked.data["pipeline"] = {
        **settings.model_dump(),
        "found": {
            each.id: {"accepted": each.accepted, "wrong": each.wrong, "left_out": each.left_out} for each in found
        },
        "packages_left_out": {name: redact(why) for name, why in not_used.items()},
    }


def _rows(config: Config, settings: PipelineSettings, checked: Checked) -> tuple[list[_Found], str, dict[str, str]]:
    """Return the usable rows, a description of the data, and the rows that are left out: number -> why."""
    from balancer.pipeline.rows.raw import count_rows
    from balancer.pipeline.rows.read import BadRow, read_rows

    place = config.redact(settings.problems)
    languages = checked.data["languages"] or _EVERY_LANGUAGE  # unknown for a server that was not asked
    found: list[_Found] = []
    bad: dict[str, str] = {}
    until_s = time.monotonic() + _ROWS_S
    said = ""
    try:
        many = count_rows(settings.problems, settings.rows.split)
        for number, read in read_rows(settings.problems, settings.rows, languages):
            if isinstance(read, BadRow):
                bad[f"row {number}"] = read.why
            else:
                found.append(_Found.of(read))
            if time.monotonic() > until_s:
                said = f" (those up to row {number}: it stops after {_ROWS_S:.0f} s)"
                break
    except BalancerError as error:
        checked.mistakes.append(config.redact(str(error)))
        return [], f"rows of {place}, not readable", {}
    of_many = "" if many is None or many == len(found) else f" of {many}"
    from_0 = ", counted from 0" if bad or said else ""
    return found, f"{len(found)}{of_many} rows of {place}{from_0}{said}", bad


def _on_rows(found: Sequence[_Found]) -> list[str]:
    """Return a line for each kind of column that is not used, and for each language that no endpoint runs."""
    from balancer.pipeline.results.tally import cost_of_missing, why_left_out

    notes = Counter(note for each in found for note in each.notes)
    lost = [cost_of_missing(each.left_out) for each in found]
    return [
        *(f"columns are {note} ({count(many, 'row')})" for note, many in notes.items()),
        *(
            f"{why_left_out(language)}: {count(many, 'submission')} of "
            f"{count(sum(language in each for each in lost), 'row')} left out"
            for language, many in sorted(sum(lost, Counter[str]()).items())
        ),
    ]


def _problems(
    config: Config, packages: "Packages | BalancerError | None", checked: Checked
) -> tuple[list[Any], dict[str, str]]:
    """Return the problems that can be read, and the packages that are left out: name -> why."""
    if packages is None:  # already reported as a mistake
        return [], {}
    if isinstance(packages, BalancerError):
        checked.mistakes += config.redact(str(packages)).splitlines()
        return [], {}
    return [*packages.read], {each.name: each.why for each in packages.left_out}
