"""TOML in, settings out; every mistake is one line; what came from the environment is never shown."""

import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.settings.config import load_config, parse_config
from balancer.settings.tables import HealthSection, keys_of


def parsed(text, **environ):
    return parse_config(tomllib.loads(text), file="c.toml", environ=environ)


def problems_of(text, **environ):
    with pytest.raises(ConfigError) as caught:
        parsed(text, **environ)
    return caught.value.problems


# -- what is right ---------------------------------------------------------------------------------


def test_an_empty_config_is_a_pool_of_the_local_cores_by_the_strategy_that_is_recommended():
    config = parsed("")
    assert config.pool.strategy == "least_in_flight"
    assert config.pipeline is None
    assert [e.url for e in config.pool_endpoints] == [f"local://{n}" for n in range(1, (os.cpu_count() or 1) + 1)]


def test_a_whole_config_is_read(tmp_path):
    file = tmp_path / "balancer.toml"
    file.write_text(
        """
        [pool]
        strategy = "weighted_health"
        options = { decay_s = 5 }
        acquire_timeout_s = 30
        max_waiters = 0
        seed = 7
        [[endpoints]]
        url = "http://10.0.0.{1..2}:{8080..8081}/"
        capacity = 2
        weight = 3
        labels = ["isolated", "quiet"]
        headers = { Authorization = "Bearer ${TOKEN}" }
        [[endpoints]]
        url = "local://here"
        host = "me"
        [pipeline]
        problems = "examples/${SET}"
        time_limit_s = 2
        """
    )
    config = load_config(file, environ={"TOKEN": "hush", "SET": "problems"})
    assert (config.pool.options, config.pool.acquire_timeout_s, config.pool.max_waiters) == ({"decay_s": 5}, 30.0, 0)
    urls = [f"http://10.0.0.{host}:{port}/" for host in (1, 2) for port in (8080, 8081)]
    labels = frozenset({"isolated", "quiet"})
    headers = {"Authorization": "Bearer hush"}
    expected = [Endpoint(url, capacity=2, weight=3.0, labels=labels, headers=headers) for url in urls]
    assert list(config.pool_endpoints) == [*expected, Endpoint("local://here", host="me")]
    assert config.pool_endpoints[3].headers["Authorization"] == "Bearer hush"
    assert config.pipeline is not None
    assert config.pipeline.problems == "examples/problems"


@pytest.mark.parametrize("text", ["$HOST", "${}", "${1A}", "$${", "{HOME}"])
def test_only_a_dollar_with_a_name_in_braces_is_filled_in(text):
    config = parsed(f'[pipeline]\nproblems = "{text}"', HOST="h", HOME="h")
    assert config.pipeline is not None
    assert config.pipeline.problems == text


# -- health, limits, retries -------------------------------------------------------------------------


# -- what is wrong: the exact line for each ---------------------------------------------------------

_POOL = (
    "acquire_timeout_s, ca, connect, fairness, leak_after_s, max_waiters, options, seed, spill_after_s, strategy, "
    "token_file, ttl_s"
)
_HEALTH = keys_of(HealthSection)
_DIFFER = "URLs must differ, or each must have a name"
_KEYS = (
    "discovery, endpoints, health, holders, host_caps, limits, llm, pipeline, pool, proxy, quotas, retries, "
    "trace, verify"
)
_H = '[[endpoints]]\nurl = "http://h/"\n'
_WRONG = [
    ("pol = 1", f"pol: unknown key; did you mean 'pool'? (known: {_KEYS})"),
    ("pool = 1", "pool: found 1: it must be a table"),
    ('[pool]\nstategy = ""', f"pool.stategy: unknown key; did you mean 'strategy'? (known: {_POOL})"),
    ("[pool]\nstrategy = 5", "pool.strategy: found 5: it must be a text in quotes"),
    ('[pool]\noptions = ["a"]', "pool.options: found a list: it must be a table"),
    ("[pool]\nacquire_timeout_s = 0", "pool.acquire_timeout_s: found 0: it must be > 0"),
    ('[pool]\nacquire_timeout_s = "5"', "pool.acquire_timeout_s: found '5': it must be a number; leave out the quotes"),
    ('[pool]\nseed = "x"', "pool.seed: found 'x': it must be a whole number; leave out the quotes"),
    ("endpoints = []", "endpoints: found a list: it must not be empty"),
    (
        '[endpoints]\nurl = "http://a/"\nheaders = {A = "token"}',
        "endpoints: found a table: it must be a list, such as ['a', 'b']; a list of tables is written [[name]]",
    ),
    (
        _H + 'headers = {"X Key" = "c4n4ry"}',
        "endpoints[0].headers: found a value that is not shown: 'X Key' is not a header name; allowed are letters, "
        "digits and hyphens",
    ),
    ("[[endpoints]]", "endpoints[0].url: is missing"),
    ('[[endpoints]]\nurl = "a:80"', "endpoints[0].url: found 'a:80': it has a port and no scheme; write 'http://a:80'"),
    (
        '[[endpoints]]\nurl = "http:///"',
        'endpoints[0].url: found \'http:///\': it must look like "http://host:port/" or "local://name"',
    ),
    (
        '[[endpoints]]\nurl = "http://me:pw@h/{x}"',
        'endpoints[0].url: found a value that is not shown: put credentials in [endpoints.headers], as "${NAME}"',
    ),
    (
        '[[endpoints]]\nurl = "http://h/"\n[[endpoints]]\nurl = "HTTP://h:80"',
        "endpoints[1].url: 'HTTP://h:80' is in endpoints[0] already (url = \"http://h/\"); " + _DIFFER,
    ),
    (
        '[[endpoints]]\nurl = "http://a/"\nname = "x"\n[[endpoints]]\nurl = "http://b/"\nname = "x"',
        "endpoints[1].name: 'x' is in endpoints[0] already (name = \"x\"); names must differ",
    ),
    (
        '[[endpoints]]\nurl = "http://h{1..3}/"\nname = "x"',
        "endpoints[0]: name: the url stands for 3 endpoints and the name for 1; names must differ, so give the "
        'name a range of 3, such as name = "a-{1..3}", or leave the name out',
    ),
    (_H + 'name = ""', "endpoints[0].name: found '': string should have at least 1 character"),
    (
        '[[endpoints]]\nurl = "http://h:{65535..65536}/"',
        "endpoints[0].url: found 'http://h:{65535..65536}/': its port is '65536'; a port is a whole number from 1 to "
        "65535",
    ),
    (
        _H + 'labels = "isolated"',
        "endpoints[0].labels: found 'isolated': it must be a list, such as ['a', 'b']; "
        "a list of tables is written [[name]]",
    ),
    (
        _H + 'isolation = "docker"',
        "endpoints[0].isolation: found 'docker': input should be 'auto', 'bubblewrap', 'unshare' or 'rlimits'",
    ),
    (_H + "headers = {A = 5}", "endpoints[0].headers.A: found a value that is not shown: it must be a text in quotes"),
    (
        '[[endpoints]]\nurl = "http://h{1..3}/"\n[[endpoints]]\nurl = "http://h2/"',
        "endpoints[1].url: 'http://h2/' is in endpoints[0] already (url = \"http://h{1..3}/\"); " + _DIFFER,
    ),
    (
        '[[endpoints]]\nurl = "http://${UNSET}/"',
        "endpoints[0].url: ${UNSET} is not set; export UNSET, or write the value here",
    ),
    # of a number as well: what stands in its place is no second mistake
    ('[pool]\nseed = "${UNSET}"', "pool.seed: ${UNSET} is not set; export UNSET, or write the value here"),
    ("health = false", "health: found False: it must be a table"),
    ('[health]\nenabled = "no"', "health.enabled: found 'no': it must be true or false; leave out the quotes"),
    (
        "[health]\ncooldown = 1",
        "health.cooldown: unknown key; did you mean 'cooldown_s'? (known: " + ", ".join(sorted(_HEALTH)) + ")",
    ),
    ("[health]\nenabled = false\nping = 1", "health.ping: found 1: it must be 'off', 'ping' or 'program'"),
    (
        "[health]\nmax_ejected_share = 1.5",
        "health.max_ejected_share: found 1.5: it must be a finite number >= 0 and <= 1",
    ),
    ("[health]\nmax_cooldown_s = 0.5", "health: max_cooldown_s: 0.5 is less than cooldown_s, 1; raise it"),
    ('[limits]\nkind = "gradient"', "limits.kind: found 'gradient': it must be 'fixed' or 'aimd'"),
    (
        "[limits]\ninitial = 1",
        'limits: initial without kind = "aimd": fixed limits are the capacities; set it, or leave it out',
    ),
    ("[health]\nslow_start_s = 5e-324", "health.slow_start_s: found 5e-324: it must be 0 or at least 0.001"),
    (
        _H + "quota = 'kex'\n[quotas.key]\nrequests_per_min = 1\n[[endpoints]]\nurl = 'http://z/'\nquota = 'key'",
        "endpoints[0].quota: 'kex' is not in [quotas]; did you mean 'key'? (quotas: key)",
    ),
    (
        _H + "[quotas.key]\nrequests_per_min = 1",
        "quotas.key: no endpoint has quota = 'key'; set it there, or remove this quota",
    ),
    (
        _H + "quota = 'x'\n[quotas.x]\nrequest_per_min = 1",
        "quotas.x.request_per_min: unknown key; did you mean 'requests_per_min'? "
        "(known: estimate, requests_per_min, tokens_per_min)",
    ),
    (
        _H + "quota = 'x'\n[quotas.x]\nestimate = 1",
        "quotas.x: a quota needs requests_per_min or tokens_per_min, or both",
    ),
    (_H + '[host_caps]\n"*" = 0', "host_caps.*: found 0: it must be >= 1"),
    (
        '[[endpoints]]\nurl = "http://10.0.0.{1..2}:80/"\n[host_caps]\n"10.0.0.3" = 4',
        "host_caps.10.0.0.3: no endpoint is on this host; did you mean '10.0.0.2'? (hosts: 10.0.0.1, 10.0.0.2)",
    ),
    (
        '[[endpoints]]\nurl = "http://10.0.0.{10..29}/"\n[host_caps]\nhere = 4',
        "host_caps.here: no endpoint is on this host (hosts: "
        + ", ".join(f"10.0.0.{n}" for n in range(10, 18))
        + " and 12 more)",
    ),
    ('[pipeline]\nproblems = "p"\nattempts = 101', "pipeline.attempts: found 101: it must be <= 100"),
    ("[retries]\nbudget_ratio = -1", "retries.budget_ratio: found -1: it must be a finite number >= 0 and <= 10"),
]


@pytest.mark.parametrize(("text", "line"), _WRONG, ids=[line.partition(":")[0] for _, line in _WRONG])
def test_a_mistake_is_one_line_that_says_where_what_and_what_is_allowed(text, line):
    assert problems_of(text) == (f"c.toml: {line}",)


def test_all_mistakes_are_told_at_once():
    found = problems_of('[pool]\nstrategy = 5\nbad = 1\n[[endpoints]]\nurl = "x"\ncapacity = 0\nhost = "${UNSET}"')
    keys = sorted(line.split(": ")[1] for line in found)
    assert keys == ["endpoints[0].capacity", "endpoints[0].host", "endpoints[0].url", "pool.bad", "pool.strategy"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "cannot be read: No such file or directory; give the path of a TOML file"),
        (b"[pool", "is not TOML: Expected ']' at the end of a table declaration (at end of document)"),
        (b"a = 1\nb = = 2", "is not TOML: Invalid value (at line 2, column 5)"),
        (b"\xff", "is not TOML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, line):
    file = tmp_path / "c.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert caught.value.problems == (f"{file}: {line}",)


def test_what_is_no_path_is_no_config():
    with pytest.raises(ConfigError, match="list is no config; give the path of a TOML file"):
        load_config(["http://a/"])


# -- secrets ---------------------------------------------------------------------------------------

_SECRET = "s3cr3t-Zq9"
_shapes = st.sampled_from(
    ["${S}", "http://${S}/", "http://me:${S}@h/{x}", "http://${S}{1..x}/", "local://${S}{", "x${S}@"]
)
_keys = st.sampled_from(
    [
        *("pool", "endpoints", "pipeline", "strategy", "options", "acquire_timeout_s", "max_waiters", "seed"),
        *("health", "host_caps", "limits", "retries", "kind", "ping"),
        *("url", "capacity", "weight", "labels", "host", "headers", "isolation", "problems", "results", "attempts"),
        "anything",
    ]
)
_values = st.recursive(
    _shapes | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)
_endpoints = st.lists(st.fixed_dictionaries({"url": _shapes | _values}) | st.dictionaries(_keys, _values, max_size=4))
_tables = st.fixed_dictionaries(
    {},
    optional={
        "pool": st.dictionaries(_keys, _values, max_size=4) | _values,
        "endpoints": _endpoints | _values,
        "pipeline": st.dictionaries(_keys, _values, max_size=4) | _values,
        "health": st.dictionaries(_keys, _values, max_size=4) | _values,
        "host_caps": st.dictionaries(st.just("h") | _keys, _values, max_size=4) | _values,
        "anything": _values,
    },
)


@given(raw=_tables, set_there=st.booleans())
def test_a_value_from_the_environment_is_shown_in_no_error_and_no_repr(raw, set_there):
    environ = {"S": _SECRET} if set_there else {"T": _SECRET}
    try:
        config = parse_config(raw, file="c.toml", environ=environ)
    except ConfigError as error:
        shown = f"{error} {error!r} {error.problems} {error.__cause__} {error.args}"
        assert all(line.startswith("c.toml: ") for line in error.problems)  # noqa: PT017, either way is right
    else:
        shown = f"{config} {config!r} {config.pool} {[entry.headers for entry in config.endpoints]}"
    assert _SECRET not in shown


@pytest.mark.parametrize(
    "text",
    [
        '[[endpoints]]\nurl = "${S}"',
        '[[endpoints]]\nurl = "http://${S}{1..x}/"',
        '[[endpoints]]\nurl = "http://${S}/"\n[[endpoints]]\nurl = "http://${S}/"',
        '[[endpoints]]\nurl = "http://${S}/"\n[[endpoints]]\nurl = "http://s3cr3t-Zq9/"',
        f'{_H}labels = {{a = "${{S}}"}}',
        f'{_H}labels = [["${{S}}"]]',
        f'{_H}isolation = "${{S}}"',
        'pool = ["${S}"]',
        '[[endpoints]]\nurl = "http://${S}/"\n[host_caps]\ns3cr3t = 1',
        _H + 'host = "${S}"\n[host_caps]\ns3cr3t = 1',
    ],
)
def test_an_error_about_a_value_from_the_environment_does_not_show_it(text):
    assert _SECRET not in str(problems_of(text, S=_SECRET))


def test_a_range_in_a_url_asks_for_one_in_the_name():
    config = parsed('[[endpoints]]\nurl = "http://10.0.0.{1..2}:{80..81}/"\nname = "gpu-{1..4}"')
    assert [(each.url, each.name) for each in config.pool_endpoints] == [
        ("http://10.0.0.1:80/", "gpu-1"),
        ("http://10.0.0.1:81/", "gpu-2"),
        ("http://10.0.0.2:80/", "gpu-3"),
        ("http://10.0.0.2:81/", "gpu-4"),
    ]


def test_what_came_from_the_environment_is_redacted_for_those_who_print():
    config = parsed(
        '[[endpoints]]\nurl = "http://${HOST}:{1..2}/"\nlabels = ["${S}"]\nheaders = {A = "Bearer ${T}"}',
        HOST="10.0.0.{1..2}",
        S="ab",
        T=_SECRET,
        OTHER="other",
    )
    assert config.pool_endpoints[2].url == "http://10.0.0.2:1/"
    assert config.redact("http://10.0.0.2:1/ is down, other") == "http://${HOST}:1/ is down, other"
    assert config.redact(f"sent {_SECRET!r} or {_SECRET.upper()}") == "sent '${T}' or ${T}"
    assert [config.redact(text) for text in ("ab", "cab", "")] == ["${S}", "cab", ""]
    changed = config.model_copy(update={"pool": config.pool})
    assert changed.redact(_SECRET) == "${T}"


def test_located_errors_are_redacted_but_the_file_is_named_as_it_is():
    config = parse_config(
        {"pool": {"strategy": "${S}"}}, file=f"{_SECRET}.toml", environ={"S": _SECRET, "UNUSED": "unknown"}
    )
    located = config.located(f"endpoint {_SECRET}", ConfigError([f"unknown {_SECRET!r}", "two"]))
    assert located.problems == (
        f"{_SECRET}.toml: endpoint ${{S}}: unknown '${{S}}'",
        f"{_SECRET}.toml: endpoint ${{S}}: two",
    )
