"""What each source says, a file, and a DNS server of dnslib."""

import json
import re

import pytest

from balancer import ConfigError, Endpoint
from balancer.hookspecs import EndpointTemplate, SourceError
from balancer.plugins.registry import default_registry
from tests.discovery.servers import Dns


def source(kind, template=EndpointTemplate(), **options):  # noqa: B008
    return default_registry().source(kind, options, template)


def look(asked):
    answer = asked.look()
    assert answer is not None
    return answer


def names(asked):
    return [each.name for each in look(asked).wanted]


def refusal(asked):
    with pytest.raises(SourceError) as caught:
        asked.look()
    return str(caught.value)


@pytest.fixture
def dns():
    server = Dns()
    yield server
    server.close()


# -- a file -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '["http://a:1", "http://b:1"]'),
        ("a.json", '{"endpoints": [{"url": "http://a:1"}, {"url": "http://b:1"}]}'),
        ("a.json", '[{"targets": ["a:1"]}, {"targets": ["b:1"], "labels": {}}]'),
        ("a.toml", '[[endpoints]]\nurl = "http://a:1"\n[[endpoints]]\nurl = "http://b:1"'),
        ("a.yaml", "- targets:\n  - a:1\n  - 'b:1'\n"),
        ("a.yml", "endpoints:\n- url: http://a:1\n- url: http://b:1\n"),
    ],
    ids=lambda text: text[:12],
)
def test_a_file_may_have_many_forms(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    asked = source("file", path=str(tmp_path / name))
    assert names(asked) == ["http://a:1", "http://b:1"]


def test_a_file_says_more_of_an_endpoint_than_the_template(tmp_path):
    template = EndpointTemplate(
        capacity=8, weight=2.0, labels=frozenset({"all"}), headers={"Authorization": "Bearer t"}
    )
    (tmp_path / "a.toml").write_text(
        '[[endpoints]]\nurl = "http://a{1..2}:1"\n'
        '[[endpoints]]\nurl = "http://b:1"\ncapacity = 2\nweight = 3\nlabels = ["fast"]\ngroup = 1\nname = "b"\n'
        'headers = { Authorization = "Bearer u" }'
    )
    first, _, last = look(source("file", template, path=str(tmp_path / "a.toml"))).wanted
    assert (first.capacity, first.weight, first.labels) == (8, 2.0, {"all"})
    assert dict(first.headers) == {"Authorization": "Bearer t"}
    assert (last.name, last.capacity, last.weight, last.labels, last.group) == ("b", 2, 6.0, {"all", "fast"}, 1)
    assert dict(last.headers) == {"Authorization": "Bearer u"}


def test_labels_of_prometheus_are_labels_and_some_have_a_meaning(tmp_path):
    group = {"targets": ["a:1", "[::1]:2"], "labels": {"__scheme__": "https", "__capacity__": "4", "zone": "z"}}
    (tmp_path / "a.json").write_text(json.dumps([group]))
    found = look(source("file", EndpointTemplate(path="/v1"), path=str(tmp_path / "a.json"))).wanted
    assert found == tuple(
        Endpoint(url, capacity=4, labels=frozenset({"zone=z"})) for url in ("https://a:1/v1", "https://[::1]:2/v1")
    )


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "[{", "is not JSON"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.json", '"http://a:1"', 'must have "endpoints"'),
        ("a.json", '[{"targets": ["a"]}]', "the target 'a' is not"),
        ("a.json", '[{"targets": "a:1"}]', "targets must be a list"),
        ("a.json", '[{"targets": ["a:1"], "labels": {"__capacity__": "x"}}]', "the label __capacity__ is 'x'"),
        ("a.json", '["http://a:1", {"url": "http://b:1", "capacity": 0}]', r"endpoints\[1\].capacity: found 0"),
        ("a.json", '[{"url": "http://a:1", "headers": {"x": "c4n4ry\\n"}}]', "headers"),
        ("a.toml", "endpoints = [", "is not TOML"),
        ("a.yaml", "a: [", "is not YAML"),
        ("a.txt", "x", "has the ending '.txt'; it must be"),
    ],
    ids=lambda text: text[:12],
)
def test_a_file_that_cannot_be_used_is_a_line(name, text, why, tmp_path):
    (tmp_path / name).write_text(text)
    said = refusal(source("file", path=str(tmp_path / name)))
    assert re.search(why, said)
    assert "\n" not in said
    assert "c4n4ry" not in said


def test_a_file_is_read_again_when_it_was_replaced_and_after_a_mistake(tmp_path):
    path = tmp_path / "a.json"
    asked = source("file", path=str(path))
    assert "cannot be read" in refusal(asked)
    path.write_text('["http://a:1"]')
    first = look(asked)
    assert first.again_s == asked.options.every_s
    assert look(asked) is first, "it is not read again"
    other = tmp_path / "new"
    other.write_text('["http://b:1"]')
    other.replace(path)
    assert names(asked) == ["http://b:1"]
    path.write_text("[")
    for _ in range(2):
        assert "is not JSON" in refusal(asked)


# -- DNS ----------------------------------------------------------------------------------------------


def test_addresses_are_endpoints_until_their_ttl_is_over(dns):
    dns.addresses("10.0.0.2", "10.0.0.1", ttl=7)
    asked = source("dns", EndpointTemplate(scheme="https", path="/v1"), **dns.options)
    answer = look(asked)
    assert [each.url for each in answer.wanted] == ["https://10.0.0.1:80/v1", "https://10.0.0.2:80/v1"]
    assert answer.again_s == 7
    dns.addresses("10.0.0.1", ttl=0)
    assert look(asked).again_s == 1.0, "least_s"
    dns.addresses("10.0.0.1", ttl=86400)
    assert look(asked).again_s == 60.0, "most_s"


def test_both_kinds_of_addresses_and_an_answer_longer_than_a_datagram(dns):
    dns.addresses(*(f"10.0.{n}.1" for n in range(200)))
    dns.zone["AAAA"] = ["pool.test. 5 IN AAAA fd00::1"]
    found = names(source("dns", **dns.options | {"records": ["A", "AAAA"]}))
    assert len(found) == 201
    assert "http://[fd00::1]:80" in found


def test_srv_records_have_ports_weights_and_groups(dns):
    dns.zone["SRV"] = [
        "_http._tcp.pool.test. 5 IN SRV 0 3 8000 a.pool.test.",
        "_http._tcp.pool.test. 5 IN SRV 1 0 8001 b.pool.test.",
    ]
    asked = source("dns", **{**dns.options, "port": None, "host": "_http._tcp.pool.test", "records": ["SRV"]})
    assert [(each.url, each.weight, each.group) for each in look(asked).wanted] == [
        ("http://a.pool.test:8000", 3.0, 0),
        ("http://b.pool.test:8001", 0.1, 1),
    ]
    dns.zone["SRV"] = ["_http._tcp.pool.test. 5 IN SRV 0 0 0 ."]
    assert look(asked).wanted == (), "the service is not there, by RFC 2782"


def test_dns_that_knows_nothing_says_so(dns):
    asked = source("dns", **dns.options)
    assert look(asked).wanted == (), "the name is there, without addresses"
    dns.code = "NXDOMAIN"
    assert refusal(asked) == "pool.test does not exist in the DNS"
    dns.code = "SERVFAIL"
    assert "no DNS server answers for pool.test" in refusal(asked)
    dns.silent = True
    asked = source("dns", **dns.options | {"timeout_s": 0.2})
    assert refusal(asked) == "no DNS server answers for pool.test within 0.2 s"


def test_half_an_answer_of_dns_is_none(dns):
    """If one kind of records fails, the others are no whole answer: their endpoints would seem to be gone."""
    dns.addresses("10.0.0.1")
    dns.code = "SERVFAIL"
    asked = source("dns", **dns.options | {"records": ["A", "AAAA"]})
    assert "no DNS server answers" in refusal(asked)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"host": "a"}, "port is missing"),
        ({"host": "a", "records": ["SRV"], "port": 1}, "SRV records have their own ports"),
        ({"host": "a", "records": ["MX"], "port": 1}, "option records.0"),
        ({"port": 1}, "option host: is missing"),
        ({"host": "a", "port": 1, "sever": "b"}, "option sever: unknown key; did you mean 'servers'"),
    ],
)
def test_wrong_options_are_a_line(options, why):
    with pytest.raises(ConfigError, match=f"source 'dns'.*{why}"):
        source("dns", **options)
