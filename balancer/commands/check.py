"""`balancer check`: what a config would run, and every mistake in it.

One mistake hides no other. No program of a problem is run; each endpoint of a pipeline runs a tiny one. In a pool
without a pipeline the protocol of an endpoint is not known. So it is asked for its models, if its URL is that of
OpenAI's API, and else only connected to.
"""

import http.client
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from balancer.commands.pings import unreached
from balancer.commands.policies import policy_lines, warnings
from balancer.discovery.begin import discoveries_of
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, ConfigError, EndpointError, MissingExtra, NotConnected
from balancer.judging.executors import executor_maker, languages_of
from balancer.opening.connected import ConnectedPool, connected_as
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Executor
from balancer.reporting.words import count
from balancer.sandbox.probes import HELLO_LIMITS, pings_of
from balancer.scratch import Scratch
from balancer.settings.config import Config
from balancer.settings.pipeline import PipelineSettings

if TYPE_CHECKING:
    from balancer.pipeline.packages.read import Packages

__all__ = ["Checked", "check_config"]

_SERVER_S: Final = 5.0  # for the server of a pool
_ANSWER_S: Final = 5.0  # for the answer of an endpoint
_PROGRAM_S: Final = 60.0  # for the tiny program, where a runtime may start slowly
_ROWS_S: Final = 60.0  # for reading rows
_MOST_LINES: Final = 24  # with more endpoints, only those that do not answer get a line
_EVERY_LANGUAGE: Final = ("cpp", "java", "python", "python2")  # of a row
_OF_MODELS: Final = re.compile(r"/v\d+[a-z0-9]*/?$")  # the path of an API of models, e.g. /v1
_NO_TOKEN: Final = "it wants a token, and the config has none for it"
_PORTS: Final = {"http": 80, "https": 443}


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
    checked.data = {"server": None, "strategy": None, "sources": [], "endpoints": [], "protections": []}
    packages = None if config.pipeline is None else _packages_of(config.pipeline)
    with ExitStack() as stack:
        pool = _pool_of(config, registry, checked, offline=offline)
        if pool is not None:
            stack.callback(pool.close)
        if not served or pool is not None:
            endpoints = config.pool_endpoints if pool is None else pool.endpoints()
            _check_endpoints(config, registry, endpoints, packages, checked, offline=offline)
    checked.lines += policy_lines(config)
    checked.data["tenants"] = [config.redact(each.name) for each in config.proxy.tenants]
    checked.data["warnings"] = [config.redact(line) for line in warnings(config)]
    checked.lines += [f"warning    {line}" for line in checked.data["warnings"]]
    checked.data["pipeline"] = None
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
    redact, chosen = config.redact, config.pool
    url = chosen.connect and redact(chosen.connect)
    server: dict[str, Any] = {"url": url, "answers": None, "error": None, "epoch": None, "ttl_s": None}
    if url is not None:
        checked.data["server"] = server
        if offline:
            checked.lines.append(f"server     {url}, not contacted")
            return None
    try:
        if url is not None:
            pool: Pool = connected_as(config, within_s=_SERVER_S)
        else:
            discoveries_of(config, registry, lambda _: None, time.monotonic)  # its options are checked
            only = config.model_copy(update={"trace": None})
            pool = Pool.from_config(only, registry=registry, discover=not offline)
            options = registry.strategy_options(chosen.strategy, chosen.options).model_dump()
            # Texts as the file has them: they may come from the environment.
            options |= {name: redact(value) for name, value in chosen.options.items() if isinstance(value, str)}
            checked.data["strategy"] = {"name": chosen.strategy, "options": options}
            checked.lines.append(f"strategy   {redact(chosen.strategy)} {options or ''}".rstrip())
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
        checked.lines += [f"server     {url} answers: started {since}, TTL {ttl_s:g} s", f"strategy   {strategy}"]
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
    packages: "Packages | BalancerError | None",
    checked: Checked,
    *,
    offline: bool,
) -> None:
    """Report the endpoints, what they answer, which languages they run, and what protects this machine."""
    names = ("name", "url", "capacity", "weight", "group", "quota")
    found: dict[str, dict[str, Any]] = {
        each.name: {name: getattr(each, name) for name in names}
        | {"labels": sorted(each.labels), "answers": None, "error": None, "said": ""}
        for each in endpoints
    }
    checked.lines.append(f"endpoints  {len(found)} with {sum(each.capacity for each in endpoints)} slots")
    checked.data["endpoints"], checked.data["languages"] = list(found.values()), []
    with Scratch("balancer-check-") as cache, ExitStack() as stack:
        executors: dict[str, Executor] = {}
        make = executor_maker(registry, cache.path, config)
        wrong: dict[str, BalancerError] = {}
        for endpoint in endpoints:
            try:
                executors[endpoint.name] = made = make(endpoint)
                stack.callback(made.close)
            except MissingExtra:  # a pool works without executors
                break
            except ConfigError as error:  # once for all endpoints of a range
                wrong.setdefault(str(error).replace(endpoint.name, ""), error)
        for mistake in wrong.values():
            checked.wrong(mistake)
        failing: dict[str, str] = {}
        if not offline and not checked.mistakes:
            failing = _ask_all(config, endpoints, found, executors, checked)
        protections: dict[Any, list[str]] = {}
        for name, executor in executors.items():
            if of_runs := getattr(executor, "protections", None):
                protections.setdefault(of_runs, []).append(name)
        if config.pipeline is not None and not checked.mistakes:
            from balancer.pipeline.running.problem_source import languages_in

            named = {each.name for entry in config.endpoints if entry.languages is not None for each in entry.specs}
            running = {
                name: each
                for name, each in executors.items()
                if name not in failing  # and offline only what needs no question to a server
                and (not offline or name in named or found[name]["url"].startswith("local:"))
            }
            read = () if packages is None or isinstance(packages, BalancerError) else packages.read
            among = languages_in(read, config.pipeline.python)
            checked.data["languages"] = sorted(languages_of(running, None if offline else among) & among)
    checked.lines += _endpoint_lines(found, config.redact)
    for (in_force, missing), (first, *others) in protections.items():
        checked.data["protections"].append(
            {"endpoints": [first, *others], "in_force": list(in_force), "missing": list(missing)}
        )
        where = config.redact(first) + (f" and {len(others)} more" if others else "")
        checked.lines.append(f"protection {'; '.join(in_force) or 'NONE'} ({where})")
        checked.lines += [f"           NOT in force: {words}" for words in missing]
    if config.pipeline is not None and not checked.mistakes:
        said = ", ".join(checked.data["languages"]) or "unknown: no endpoint has run a program"
        checked.lines.append(f"languages  {said}")


def _ask_all(
    config: Config,
    endpoints: Sequence[Endpoint],
    found: dict[str, dict[str, Any]],
    executors: Mapping[str, Executor],
    checked: Checked,
) -> dict[str, str]:
    """Ask all endpoints, and report what they answer. Return why those that do not, or fail a program, are silent."""
    if config.pipeline is None:
        said: dict[str, str] = {}
        failing = unreached({each.name: partial(_greet, each, executors.get(each.name), said) for each in endpoints})
    else:
        said = dict.fromkeys(executors, "answers")
        failing = unreached({name: executor.ping for name, executor in executors.items()})
        answering = {name: executor for name, executor in executors.items() if name not in failing}
        failing |= unreached(pings_of(answering, "program", HELLO_LIMITS), within_s=_PROGRAM_S)
    for name, each in found.items():
        if name in failing:
            each |= {"answers": False, "error": failing[name]}
            checked.silent.append(f"endpoint {name} does not answer: {failing[name]}")
        elif name in said:
            each |= {"answers": True if said[name] == "answers" else None, "said": said[name]}
    if said and not failing and all(_NO_TOKEN in words for words in said.values()):  # else others serve
        checked.silent += [f"endpoint {name} {words}" for name, words in said.items()]
    return failing


def _greet(endpoint: Endpoint, executor: Executor | None, said: dict[str, str]) -> None:
    """Ask an endpoint of an unknown protocol, and note what it said. Raises OSError, EndpointError."""
    parts = urlsplit(endpoint.url)
    port = parts.port or _PORTS.get(parts.scheme)
    if parts.scheme not in _PORTS and executor is not None:
        executor.ping()
        said[endpoint.name] = "answers"
    elif parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=_ANSWER_S).close()
        of_models = parts.scheme in _PORTS and _OF_MODELS.search(parts.path)
        said[endpoint.name] = _models_of(endpoint, parts.hostname, port) if of_models else "accepts connections"


def _models_of(endpoint: Endpoint, host: str, port: int) -> str:
    """Ask for a list of models, and return what is answered. Raises EndpointError if a token is refused."""
    parts = urlsplit(endpoint.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(host, port, timeout=_ANSWER_S)) as connection:
        try:
            connection.request("GET", parts.path.rstrip("/") + "/models", headers=dict(endpoint.headers))
            status = connection.getresponse().status
        except (http.client.HTTPException, OSError):  # clients may have a certificate of their own
            return "accepts connections"
    if status in (401, 403):
        if endpoint.headers:
            raise EndpointError(f"it refuses the headers of the config with {status}; look at the token in them")
        return f"answers {status}: {_NO_TOKEN}"
    return "answers" if status == 200 else "accepts connections"


def _endpoint_lines(found: Mapping[str, dict[str, Any]], redact: Callable[[str], str]) -> Iterator[str]:
    grouped = any(each["group"] for each in found.values())
    shown = [each for each in found.values() if len(found) <= _MOST_LINES or each["answers"] is False]
    for each in shown[:_MOST_LINES]:
        said = "DOES NOT ANSWER" if each["answers"] is False else each["said"]
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


def _packages_of(settings: PipelineSettings) -> "Packages | BalancerError | None":
    """Return the problem packages, without their data, or why they cannot be read; None: they are rows."""
    from balancer.pipeline.packages.read import read_packages
    from balancer.pipeline.rows.raw import are_rows
    from balancer.pipeline.running.problem_source import with_python

    if not settings.problems or are_rows(settings.problems):
        return None
    try:
        change = partial(with_python, python=settings.python)
        return read_packages(Path(settings.problems), whole=False, change=change)
    except BalancerError as error:
        return error


def _check_pipeline(
    config: Config,
    settings: PipelineSettings,
    registry: Registry,
    packages: "Packages | BalancerError | None",
    checked: Checked,
) -> None:
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
    if packages is None:
        said = _rows(place, settings, checked, found, not_used, lines)
    elif isinstance(packages, BalancerError):
        checked.wrong(packages)
        said = f"0 in {place}"
    else:
        found |= {each.id: _told(each) for each in packages.read}
        not_used |= {each.name: each.why for each in packages.left_out}
        known = checked.data["languages"]  # unknown for a server that was not asked
        lines += lines_on_missing(packages.read, known) if known else []
        lines += [
            f"{id}/{name} is left out: {why}" for id, each in found.items() for name, why in each["left_out"].items()
        ]
        said = f"{len(found)} in {place}"
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
    from balancer.pipeline.results.problem_result import cost_of_missing, why_left_out
    from balancer.pipeline.rows.raw import count_rows
    from balancer.pipeline.rows.read import BadRow, read_rows

    languages = checked.data.get("languages") or _EVERY_LANGUAGE  # unknown for a server that was not asked
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
