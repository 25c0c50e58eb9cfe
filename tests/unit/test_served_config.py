"""A config whose pool is served elsewhere: what may stand beside `connect`, and what a server changes while it runs."""

from pathlib import Path

import pytest

from balancer import BalancerError, ConfigError, Pool
from balancer.commands.check import check_config
from balancer.commands.options import over_pool, with_options
from balancer.commands.policies import left_to_server
from balancer.opening.reload import changes
from balancer.plugins.registry import default_registry
from balancer.settings.config import Config, load_config
from tests.cluster.serving import Serving

_TWO = '[[endpoints]]\nurl = "http://h:{1..2}/"\n'


def _config(folder, text):
    file = folder / "c.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


# -- what stands beside it ----------------------------------------------------------------------------


def test_what_is_the_servers_to_say_is_no_matter_of_a_config_that_names_one(tmp_path):
    text = f'[pool]\nconnect = "balancer://h"\nstrategy = "fifo"\n{_TWO}[limits]\nkind = "aimd"\n'
    line = r"pool\.connect: that server decides \[\[endpoints\]\], \[limits\], pool\.strategy; remove them here"
    with pytest.raises(ConfigError, match=line):
        _config(tmp_path, text)


def test_one_file_may_be_served_and_run_where_the_command_line_names_the_server(tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef\n", encoding="utf-8")
    mine = _config(tmp_path, f"{_TWO}[health]\nenabled = true\n")
    config = over_pool(mine, "balancer://h:1", tmp_path / "token", None)
    assert (config.pool.connect, config.pool.token_file) == ("balancer://h:1", str(tmp_path / "token"))
    (line,) = left_to_server(config)
    assert line == (
        "balancer://h:1 serves the pool and decides [[endpoints]], [health]; of [[endpoints]] only languages "
        "and isolation count here, by name"
    )
    with pytest.raises(ConfigError, match="--strategy fifo: the server of the pool decides it"):
        with_options(config, "fifo", None)
    with pytest.raises(ConfigError, match="give --pool as well"):
        over_pool(Config(), None, None, Path("ca.pem"))


@pytest.mark.parametrize(
    ("url", "token_file", "ca", "line"),
    [
        (
            "foo",
            None,
            None,
            r"--pool: found 'foo'; it must be like 'balancer://10.0.0.1:7465', or balancers:// for TLS",
        ),
        ("balancer://h:99999", None, None, r"--pool: found 'balancer://h:99999': Port out of range .*"),
        ("balancer://h", "absent", None, r"--token-file absent: No such file or directory; give a file .*"),
        (
            "balancer://h",
            "bytes",
            None,
            r"--token-file bytes: is not text; give a file that holds only the token",
        ),
        ("balancer://h", None, "text", r"--ca text: balancer://h has no TLS, so the certificate has no use; .*"),
        (None, None, "text", r"--ca text: holds no certificate; give a PEM file with the certificate .*"),
        ("balancers://h", None, "absent", r"--ca absent: No such file or directory; give a PEM file .*"),
        ("balancers://h", None, "bytes", r"--ca bytes: holds no certificate; give a PEM file .*"),
    ],
)
def test_a_mistake_in_an_option_is_blamed_on_the_option(url, token_file, ca, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bytes").write_bytes(b"\xff" * 20)
    Path("text").write_text("hello", encoding="utf-8")
    config = _config(tmp_path, '[pool]\nconnect = "balancers://here"\n')
    with pytest.raises(ConfigError, match=f"^{line}$"):
        over_pool(config, url, token_file and Path(token_file), ca and Path(ca))


def test_a_pool_by_a_config_is_the_servers(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef\n", encoding="utf-8")
    with Serving("http://a/", token="0123456789abcdef") as serving:
        text = f'[pool]\nconnect = "{serving.url}"\ntoken_file = "{secret}"\nacquire_timeout_s = 2.0\n'
        with Pool.from_config(_config(tmp_path, text)) as pool, pool.lease() as lease:
            assert lease.endpoint.url == "http://a/"
            assert pool.engine.acquire_timeout_s == 2.0
            with pytest.raises(BalancerError, match=r"put \[trace\] into its config"):
                pool.trace(tmp_path / "trace")
    with pytest.raises(ConfigError, match=r"c\.toml: pool: token file .*none"):
        Pool.from_config(_config(tmp_path, f'[pool]\nconnect = "balancer://h"\ntoken_file = "{tmp_path}/none"\n'))
    with pytest.raises(ConfigError, match=r"c\.toml: pool: found 'http://h'"):
        Pool.from_config(_config(tmp_path, '[pool]\nconnect = "http://h"\n'))


# -- balancer check -----------------------------------------------------------------------------------


def test_a_check_says_who_the_server_is_and_what_it_has(tmp_path):
    with Serving("tcp://127.0.0.1:9/", ttl_s=3.0) as serving:
        config = over_pool(_config(tmp_path, _TWO), serving.url, None, None)
        checked = check_config(config, default_registry(), offline=False)
        said = "\n".join(checked.lines)
        assert f"server     {serving.url} answers: started 20" in said
        assert "TTL 3 s" in said
        assert "endpoints  1 with 1 slots" in said
        assert "health     decided by the server, like limits" in said
        assert checked.data["server"]["answers"] is True
        assert [each["name"] for each in checked.data["endpoints"]] == ["tcp://127.0.0.1:9/"]
        assert ["tcp" in each for each in checked.mistakes] == [True], "nobody runs programs there"
        there = serving.url
    checked = check_config(config, default_registry(), offline=True)
    assert checked.data["server"]["answers"] is None
    assert f"server     {there}, not contacted" in checked.lines


def test_a_check_tells_of_a_server_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("balancer.commands.check._SERVER_S", 0.1)
    config = _config(tmp_path, '[pool]\nconnect = "balancer://127.0.0.1:9"\n')
    checked = check_config(config, default_registry())
    (line,) = checked.silent
    assert "balancer://127.0.0.1:9: not connected within 0.1 s" in line
    assert checked.data["server"]["answers"] is False


# -- what a server changes while it runs --------------------------------------------------------------


def _made(**tables):
    return Config.model_validate({"endpoints": [{"url": "http://h:{1..2}/", "capacity": 2}], **tables})


def test_what_differs_is_what_is_changed():
    after = {"endpoints": [{"url": "http://h:2/", "capacity": 5}, {"url": "http://h:3"}], "pool": {"strategy": "fifo"}}
    found = changes(_made(), Config.model_validate(after))
    assert [each.url for each in found.added] == ["http://h:3"]
    assert [(each.url, each.capacity) for each in found.changed] == [("http://h:2/", 5)]
    assert [each.url for each in found.removed] == ["http://h:1/"]
    assert found.strategy
    assert [*found.lines("p.toml")] == [
        "read p.toml again: endpoints 1 added, 1 changed, 1 removed; strategy fifo; 6 slots of 2 endpoints"
    ]
    again = changes(found.running, found.running)
    assert [*again.lines("p.toml")] == ["read p.toml again: nothing to change; 6 slots of 2 endpoints"]


def test_a_pool_of_a_config_is_changed_to_another_one_and_its_leases_stay(tmp_path):
    file = tmp_path / "p.toml"
    file.write_text('[[endpoints]]\nurl = "http://h:{1..2}/"\n', encoding="utf-8")
    with Pool.from_config(file) as pool, pool.lease(only="http://h:1/"):
        file.write_text('[pool]\nstrategy = "fifo"\n[[endpoints]]\nurl = "http://h:{2..3}/"\n', encoding="utf-8")
        (line,) = pool.reload(file)
        assert line.endswith(": endpoints 1 added, 1 removed; strategy fifo; 2 slots of 2 endpoints")
        states = {each.url: each.state for each in pool.stats().endpoints}
        assert states == {"http://h:1/": "retiring", "http://h:2/": "active", "http://h:3/": "active"}
        assert pool.stats().strategy == "fifo"
        for wrong in ('[pool]\nstrategy = "fifoo"\n[[endpoints]]\nurl = "http://h:9/"\n', "nonsense"):
            file.write_text(wrong, encoding="utf-8")
            with pytest.raises(ConfigError):
                pool.reload(file)
        assert len(pool.endpoints()) == 2
    with Pool(["http://a/"]) as pool, pytest.raises(ConfigError, match="was not made from a config"):
        pool.reload(file)


def test_what_only_a_restart_brings_is_said_every_time():
    after = _made(health={"enabled": False}, limits={"kind": "aimd"}, pool={"max_waiters": 3, "strategy": "p2c"})
    found = changes(_made(), after)
    assert found.later == ("[health]", "[limits]", "pool.max_waiters")
    assert "only with a restart" in [*found.lines("p.toml")][1]
    assert found.running.pool.max_waiters is None
    assert changes(found.running, after).later == found.later
    assert not changes(found.running, after).strategy


def test_a_quota_that_a_restart_would_bring_changes_nothing():
    after = _made(endpoints=[{"url": "http://h:1/", "quota": "key"}], quotas={"key": {"requests_per_min": 3}})
    with pytest.raises(ConfigError, match="names the quota 'key', which is new; restart"):
        changes(_made(), after)


def test_a_config_without_endpoints_is_not_said_to_have_some(tmp_path):
    config = _config(tmp_path, '[pool]\nconnect = "balancer://h"\n')
    assert config.decided_by_server == ()


def test_a_file_that_is_empty_while_it_is_written_takes_no_endpoints_away():
    with pytest.raises(ConfigError, match=r"\[\[endpoints\]\]: are missing"):
        changes(_made(), Config())
    assert not changes(Config(), Config()).removed
