"""What each source says, asked of a server: DNS of dnslib, and scripted APIs of Kubernetes, Consul and Ray."""

import json
import re
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from balancer import ConfigError, Endpoint
from balancer.discovery.cluster_access import cluster_of
from balancer.endpoint import Endpoint as Spec
from balancer.plugins.registry import default_registry
from balancer.source import EndpointTemplate, Source, SourceAnswer, SourceError
from tests.discovery.servers import Api, Consul, Dns, Kubernetes, pod
from tests.patience import PATIENCE_S

T = TypeVar("T", bound=Api | Dns)


def source(kind: str, template: EndpointTemplate = EndpointTemplate(), **options: Any) -> Source:  # noqa: B008
    return default_registry().source(kind, options, template)


def look(asked: Source) -> SourceAnswer:
    answer = asked.look()
    assert answer is not None
    return answer


def names(asked: Source) -> list[str]:
    return [each.name for each in look(asked).wanted]


def refusal(asked: Source) -> str:
    with pytest.raises(SourceError) as caught:
        asked.look()
    return str(caught.value)


def _serving(make: Callable[[], T]) -> Iterator[T]:
    server = make()
    yield server
    server.close()


@pytest.fixture
def dns() -> Iterator[Dns]:
    yield from _serving(Dns)


@pytest.fixture
def consul() -> Iterator[Consul]:
    yield from _serving(Consul)


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    yield from _serving(Kubernetes)


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
def test_a_file_may_have_many_forms(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    asked = source("file", path=str(tmp_path / name))
    assert names(asked) == ["http://a:1", "http://b:1"]


def test_a_file_says_more_of_an_endpoint_than_the_template(tmp_path: Path) -> None:
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


def test_labels_of_prometheus_are_labels_and_some_have_a_meaning(tmp_path: Path) -> None:
    group = {"targets": ["a:1", "[::1]:2"], "labels": {"__scheme__": "https", "__capacity__": "4", "zone": "z"}}
    (tmp_path / "a.json").write_text(json.dumps([group]))
    found = look(source("file", EndpointTemplate(path="/v1"), path=str(tmp_path / "a.json"))).wanted
    assert found == tuple(
        Endpoint(url, capacity=4, labels=frozenset({"zone=z"})) for url in ("https://a:1/v1", "https://[::1]:2/v1")
    )


def test_a_file_names_who_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"endpoints": ["http://a:1"], "gone": ["http://b:1"]}')
    assert look(source("file", path=str(tmp_path / "a.json"))).gone == {"http://b:1"}


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
def test_a_file_that_cannot_be_used_is_a_line(name: str, text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    said = refusal(source("file", path=str(tmp_path / name)))
    assert re.search(why, said)
    assert "\n" not in said
    assert "c4n4ry" not in said


def test_a_file_is_read_again_when_it_was_replaced_and_after_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    asked = source("file", path=str(path))
    assert "cannot be read" in refusal(asked)
    path.write_text('["http://a:1"]')
    first = look(asked)
    assert look(asked) is first, "it is not read again"
    other = tmp_path / "new"
    other.write_text('["http://b:1"]')
    other.replace(path)
    assert names(asked) == ["http://b:1"]
    path.write_text("[")
    for _ in range(2):
        assert "is not JSON" in refusal(asked)


# -- DNS ----------------------------------------------------------------------------------------------


def test_addresses_are_endpoints_until_their_ttl_is_over(dns: Dns) -> None:
    dns.addresses("10.0.0.2", "10.0.0.1", ttl=7)
    asked = source("dns", EndpointTemplate(scheme="https", path="/v1"), **dns.options)
    answer = look(asked)
    assert [each.url for each in answer.wanted] == ["https://10.0.0.1:80/v1", "https://10.0.0.2:80/v1"]
    assert answer.again_s == 7
    dns.addresses("10.0.0.1", ttl=0)
    assert look(asked).again_s == 1.0, "least_s"
    dns.addresses("10.0.0.1", ttl=86400)
    assert look(asked).again_s == 60.0, "most_s"


def test_both_kinds_of_addresses_and_an_answer_longer_than_a_datagram(dns: Dns) -> None:
    dns.addresses(*(f"10.0.{n}.1" for n in range(200)))
    dns.zone["AAAA"] = ["pool.test. 5 IN AAAA fd00::1"]
    found = names(source("dns", **dns.options | {"records": ["A", "AAAA"]}))
    assert len(found) == 201
    assert "http://[fd00::1]:80" in found


def test_srv_records_have_ports_weights_and_groups(dns: Dns) -> None:
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


def test_dns_that_knows_nothing_says_so(dns: Dns) -> None:
    asked = source("dns", **dns.options)
    assert look(asked).wanted == (), "the name is there, without addresses"
    dns.code = "NXDOMAIN"
    assert refusal(asked) == "pool.test does not exist in the DNS"
    dns.code = "SERVFAIL"
    assert "no DNS server answers for pool.test" in refusal(asked)
    dns.silent = True
    asked = source("dns", **dns.options | {"timeout_s": 0.2})
    assert refusal(asked) == "no DNS server answers for pool.test within 0.2 s"


def test_half_an_answer_of_dns_is_none(dns: Dns) -> None:
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
def test_wrong_options_are_a_line(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=f"source 'dns'.*{why}"):
        source("dns", **options)


def test_a_dns_server_is_an_address() -> None:
    assert "neither" in refusal(source("dns", host="a", port=1, servers=["dns.test"]))


# -- Consul -------------------------------------------------------------------------------------------


def instance(address: str, *checks: tuple[str, str], **service: Any) -> dict[str, Any]:
    said = {"Address": address, "Port": 8000, "Tags": ["gpu"], "Weights": {"Passing": 2, "Warning": 1}, **service}
    listed = [{"CheckID": name, "Status": status} for name, status in checks]
    return {"Node": {"Node": "node-1", "Address": "10.9.9.9"}, "Service": said, "Checks": listed}


def test_consul_lists_what_no_check_calls_critical(consul: Consul) -> None:
    consul.set(
        instance("10.0.0.1", ("serfHealth", "passing"), Meta={"capacity": "16"}),
        instance("", ("c", "warning")),
        instance("10.0.0.3", ("serfHealth", "passing"), ("c", "critical")),
        instance("10.0.0.4", ("_service_maintenance:x", "critical")),
    )
    answer = look(source("consul", service="vllm", url=consul.url, tag="gpu"))
    assert answer.wanted == (
        Endpoint("http://10.0.0.1:8000", capacity=16, weight=2.0, labels=frozenset({"gpu"}), host="node-1"),
        Endpoint("http://10.9.9.9:8000", weight=1.0, labels=frozenset({"gpu"}), host="node-1"),
    )
    assert answer.gone == {"http://10.0.0.4:8000"}
    assert consul.got[0][:2] == ("/v1/health/service/vllm", {"tag": "gpu"})


def test_a_query_of_consul_waits_for_news(consul: Consul) -> None:
    consul.set(instance("10.0.0.1"))
    asked = source("consul", service="vllm", url=consul.url, wait_s=1.0)
    look(asked)
    assert asked.look() is None, "nothing is new after a second"
    found: list[SourceAnswer | None] = []
    waiter = threading.Thread(target=lambda: found.append(asked.look()))
    waiter.start()
    consul.set(instance("10.0.0.2"))
    waiter.join(PATIENCE_S)
    assert found
    while found[-1] is None:  # its wait was over first
        found.append(asked.look())
    assert [each.url for each in found[-1].wanted] == ["http://10.0.0.2:8000"]


def test_an_index_of_consul_that_goes_back_is_forgotten(consul: Consul) -> None:
    consul.set(instance("10.0.0.1"), version=100)
    asked = source("consul", service="vllm", url=consul.url)
    look(asked)
    consul.version = 5
    consul.wait_beyond = lambda version, for_s: None  # type: ignore[method-assign]  # it has been restarted
    look(asked)
    look(asked)
    assert [query.get("index") for _, query, _ in consul.got] == [None, "100", None]


def test_consul_gets_its_token_and_no_error_shows_it(consul: Consul, tmp_path: Path) -> None:
    consul.token = "c4n4ry-1"
    consul.set(instance("10.0.0.1"))
    asked = source("consul", service="vllm", url=consul.url, token="c4n4ry-1")
    assert len(look(asked).wanted) == 1
    assert "c4n4ry" not in repr(asked.options)
    (tmp_path / "token").write_text("c4n4ry-1\n")
    assert len(look(source("consul", service="vllm", url=consul.url, token_file=str(tmp_path / "token"))).wanted) == 1
    wrong = source("consul", service="vllm", url=consul.url, token="c4n4ry-2")
    said = refusal(wrong)
    assert said.endswith("answered with status 403; the token is wrong, missing or may not read this")
    assert "c4n4ry" not in said
    with pytest.raises(ConfigError) as caught:
        source("consul", service="vllm", token=["c4n4ry-3"])
    assert "c4n4ry" not in str(caught.value)


def test_consul_that_is_broken_is_a_line(consul: Consul) -> None:
    asked = source("consul", service="vllm", url=consul.url)
    consul.broken = 500
    assert "answered with status 500" in refusal(asked)
    consul.broken, consul.instances = 0, [{"Node": {}}]
    assert refusal(asked) == "Consul answers in a form that is not known"
    consul.close()
    assert "refused" in refusal(asked)


# -- Kubernetes ---------------------------------------------------------------------------------------


def kubes(kubernetes: Kubernetes, **options: Any) -> Source:
    return source(
        "kubernetes", **{"service": "vllm", "namespace": "prod", "port": "http", "server": kubernetes.url} | options
    )


def test_pods_that_are_ready_are_wanted_and_those_that_terminate_are_gone(kubernetes: Kubernetes) -> None:
    kubernetes.set("a", [pod("10.1.0.1", node="gpu-7"), pod("10.1.0.2", ready=False)])
    kubernetes.set("b", [pod("10.1.0.3", ready=False, terminating=True), pod("10.1.0.4", ready=None)])
    kubernetes.set("c", [pod("10.1.0.5")])
    answer = look(kubes(kubernetes))
    assert [each.url for each in answer.wanted] == [f"http://10.1.0.{n}:8000" for n in (1, 4, 5)]
    assert answer.wanted[0] == Spec("http://10.1.0.1:8000", host="gpu-7", labels=frozenset({"zone=z1"}))
    assert answer.gone == {"http://10.1.0.3:8000"}
    assert kubernetes.got[0][1]["labelSelector"] == "kubernetes.io/service-name=vllm"
    assert "continue" in kubernetes.got[1][1], "the list had two pages"


def test_a_watch_tells_each_change_and_is_begun_anew(kubernetes: Kubernetes) -> None:
    kubernetes.set("a", [pod("10.1.0.1")])
    asked = kubes(kubernetes, port=8000)
    assert names(asked) == ["http://10.1.0.1:8000"]
    kubernetes.set("b", [pod("10.1.0.2")])
    assert names(asked) == ["http://10.1.0.1:8000", "http://10.1.0.2:8000"]
    kubernetes.set("a", None)
    assert names(asked) == ["http://10.1.0.2:8000"]
    kubernetes.cut()
    assert names(asked) == ["http://10.1.0.2:8000"], "as before"
    kubernetes.set("b", [pod("10.1.0.3")])
    kubernetes.oldest = kubernetes.version + 1
    assert names(asked) == ["http://10.1.0.3:8000"], "listed anew"
    assert names(asked) == ["http://10.1.0.3:8000"], "the watch ended at once, as its version is too old"
    asked.close()


def test_a_watch_ends_when_the_source_is_closed(kubernetes: Kubernetes) -> None:
    kubernetes.set("a", [pod("10.1.0.1")])
    asked = kubes(kubernetes)
    look(asked)

    def wait() -> None:
        with suppress(SourceError):  # the connection may end with a reset
            asked.look()

    waiter = threading.Thread(target=wait)
    waiter.start()
    asked.close()
    waiter.join(PATIENCE_S)
    assert not waiter.is_alive()


def test_a_cluster_that_does_not_answer_is_a_line(kubernetes: Kubernetes) -> None:
    kubernetes.token = "x"
    assert "status 401; the token is wrong" in refusal(kubes(kubernetes))
    kubernetes.token = ""
    assert "status 404" in refusal(kubes(kubernetes, namespace="none"))
    kubernetes.slices["x"] = {"metadata": {}, "endpoints": [{}]}
    assert refusal(kubes(kubernetes)) == "the cluster answers in a form that is not known"


def test_a_service_without_the_port_has_no_endpoints(kubernetes: Kubernetes) -> None:
    kubernetes.set("a", [pod("10.1.0.1")])
    assert look(kubes(kubernetes, port="grpc")).wanted == ()
    assert names(kubes(kubernetes, port=None)) == ["http://10.1.0.1:9090"], "the first"


def _kubeconfig(url: str, **user: Any) -> dict[str, Any]:
    return {
        "current-context": "dev",
        "contexts": [
            {"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "prod"}},
            {"name": "lost", "context": {"cluster": "d"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
    }


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_kubeconfig_says_where_and_who(form: str, kubernetes: Kubernetes, tmp_path: Path) -> None:
    import yaml

    kubernetes.token = "c4n4ry-1"
    kubernetes.set("a", [pod("10.1.0.1")])
    path = tmp_path / "config"
    write = json.dumps if form == "json" else yaml.safe_dump
    for user in ({"token": "c4n4ry-1"}, {"tokenFile": "token"}):
        (tmp_path / "token").write_text("c4n4ry-1\n")
        path.write_text(write(_kubeconfig(kubernetes.url, **user)))
        assert names(source("kubernetes", service="vllm", kubeconfig=str(path), port=8000)) == ["http://10.1.0.1:8000"]
    asked = source("kubernetes", service="vllm", kubeconfig=str(path), context="lost")
    assert refusal(asked) == f"{path}: it has no cluster 'd'"
    path.write_text(write(_kubeconfig(kubernetes.url, exec={"command": "aws", "env": "c4n4ry-2"})))
    said = refusal(source("kubernetes", service="vllm", kubeconfig=str(path)))
    assert "its user has 'exec', a command, and none is run" in said
    assert "c4n4ry" not in said


def test_no_kubeconfig_and_no_pod_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file, and this is no pod of a cluster"):
        cluster_of(None, None, None, {"KUBECONFIG": str(tmp_path / "none")})


def test_a_pod_has_an_account(tmp_path: Path) -> None:
    for name, text in (("token", "c4n4ry"), ("namespace", "prod\n")):
        (tmp_path / name).write_text(text)
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(SourceError, match="its certificates cannot be used: FileNotFoundError"):
        cluster_of(None, None, None, environ, pod=str(tmp_path))
    (tmp_path / "ca.crt").write_text("")
    with pytest.raises(SourceError, match="its certificates cannot be used"):
        cluster_of(None, None, None, environ, pod=str(tmp_path))


@pytest.mark.needs("openssl")
def test_a_cluster_may_ask_for_certificates(tmp_path: Path) -> None:
    """The client's is in the kubeconfig as data, and so is the authority of the cluster."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=both", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(cert)
    context.verify_mode = ssl.CERT_REQUIRED
    kubernetes = Kubernetes(context)
    kubernetes.set("a", [pod("10.1.0.1")])
    data = {name: b64encode(file.read_bytes()).decode() for name, file in (("certificate", cert), ("key", key))}
    user = {f"client-{name}-data": text for name, text in data.items()}
    config = _kubeconfig(kubernetes.url, **user)
    for known, why in ((True, None), (False, "its certificate is not trusted")):
        cluster = {"certificate-authority-data": data["certificate"]} if known else {}
        config["clusters"][0]["cluster"] = {"server": kubernetes.url, **cluster}
        (tmp_path / "config").write_text(json.dumps(config))
        asked = source("kubernetes", service="vllm", kubeconfig=str(tmp_path / "config"), port="http")
        if why is None:
            assert names(asked) == ["http://10.1.0.1:8000"]
            asked.close()
        else:
            assert why in refusal(asked)
    kubernetes.close()


# -- Ray Serve ----------------------------------------------------------------------------------------


class Dashboard(Api):
    said: Any = None

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        return (200, {}, self.said) if path == "/api/serve/applications/" else (404, {}, b"")


def test_ray_serve_lists_its_healthy_proxies() -> None:
    for dashboard in _serving(Dashboard):
        dashboard.said = {
            "http_options": {"host": "0.0.0.0", "port": 8100},
            "proxies": {
                "n1": {"node_ip": "10.0.0.1", "status": "HEALTHY"},
                "n2": {"node_ip": "10.0.0.2", "status": "STARTING"},
                "n3": {"node_ip": "10.0.0.3", "status": "DRAINING"},
            },
        }
        answer = look(source("ray_serve", url=dashboard.url))
        assert [each.url for each in answer.wanted] == ["http://10.0.0.1:8100"]
        assert answer.gone == {"http://10.0.0.3:8100"}
        dashboard.said = {"proxies": []}
        assert "in a form that is not known" in refusal(source("ray_serve", url=dashboard.url))
