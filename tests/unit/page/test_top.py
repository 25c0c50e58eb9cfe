"""`balancer top` shows the page of a pool in a terminal, and says in a line why it cannot."""

import json
import re
from io import StringIO

import pytest
from rich.console import Console

from balancer import ConfigError, Endpoint, HealthSettings, Outcome, Pool
from balancer.observing.page.pool_tables import short_names
from balancer.observing.page.top import LeaseRates, follow, show


@pytest.fixture
def pool():
    health = HealthSettings(cooldown_s=300.0)  # longer than a busy machine takes for a page
    with Pool([f"http://10.0.0.{n}/" for n in range(3)], strategy="first", health=health) as made:
        yield made


@pytest.fixture
def page(pool):
    with pool.serve_page() as served:
        yield served


def shown(page, *, most=1, height=40, width=110, terminal=False):
    out = StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=terminal, color_system=None)
    show(page.url, console, most=most)
    return out.getvalue()


def test_it_shows_what_the_page_shows(pool, page):
    for _ in range(5):
        pool.acquire(timeout=0).release(Outcome.FAILURE)
    kept = pool.acquire(timeout=0, holder="sample 7")
    pool.acquire(timeout=0).release(Outcome.OVERLOAD)
    text = shown(page)
    assert "first  1 of 2 slots in use  0 wait" in text
    assert "7 leases, 5 failures, 1 overloads" in text
    assert re.search(r"\n10\.0\.0\.0/ +ejected, \d.*? +0/0 +- +5 +5 +0 +1", text)
    assert re.search(r"\n10\.0\.0\.1/ +healthy +1/1 +- +1 +0 +0 +0", text)
    assert "who holds slots: sample 7 1" in text
    assert "ago  http://10.0.0.0/: ejected: 5 failures in a row" in text
    kept.release()


def test_it_stops_when_the_page_is_closed(page):
    looks = follow(page.url)
    assert next(looks)["endpoints"][2]["name"] == "http://10.0.0.2/"
    page.close()
    with pytest.raises(ConfigError, match="no page answers"):
        list(looks)


def test_in_a_small_window_the_rest_is_counted(page):
    pages = Pool([f"http://10.0.0.{n}/" for n in range(30)])
    with pages, pages.serve_page() as many:
        assert "and 18 more" in shown(many, height=24, terminal=True)


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80{}/", "https://gpu-{}.west.cluster.example.com:8000/v1", "http://10.0.0.{}:8080/"]
)
def test_in_a_narrow_window_endpoints_can_still_be_told_apart(width, url):
    with Pool([Endpoint(url.format(n), capacity=32) for n in range(10, 14)]) as pool, pool.serve_page() as page:
        kept = [pool.acquire() for _ in range(40)]
        text = shown(page, width=width)
        for lease in kept:
            lease.release()
    rows = [line for line in text.splitlines() if "10/32" in line]
    assert max(map(len, rows)) <= width
    assert len({row.split()[0] for row in rows}) == 4, text
    assert width == 60 or all(" healthy " in row for row in rows), text


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a", "b"], ["a", "b"]),
        (["http://10.0.0.1:8080/", "http://10.0.0.2:8080/"], ["10.0.0.1:8080", "10.0.0.2:8080"]),
        (["x-1.example.com/some/path/v1", "x-22.example.com/some/path/v1"], ["1", "22"]),
        (
            ["https://gpu-west-1.example.com/", "https://gpu-west-12.example.com/v1"],
            ["1.example.com", "12.example.com/v1"],
        ),
        (["http://sandbox.example.com:80/a-a/", "http://sandbox.example.com:80/a/"], ["a-a", "a"]),
        (["http://the-only-one.example.com:8080/"], ["the-only-one.example.com:8080"]),
    ],
)
def test_of_long_names_what_they_have_in_common_is_left_out(names, told):
    assert short_names(names) == told


def test_a_rate_is_of_the_last_ten_seconds():
    past = LeaseRates()
    for at_s, leases in ((0.0, 0), (1.0, 100), (6.0, 120), (11.0, 140)):
        past.take({"at_s": at_s, "endpoints": [{"id": "0", "leases": leases}]})
    assert past.rate("0") == 4.0
    assert past.rate("1") is None


def test_a_run_is_shown_with_its_problems():
    out = StringIO()
    run = {"title": "1/2 problems", "done": 5, "ahead": 10, "spent_s": 90.0, "left": "about 3 min left"}
    at_work = {"id": "p", "round": 1, "cases": 3, "survivors": 2, "wrong": 4, "over": False}
    problems = [at_work, {**at_work, "id": "q", "over": True}]
    tables = {"at_s": 1.0, "pool": {}, "endpoints": [], "run": run, "problems": problems}
    show("-", Console(file=out, width=110), most=1, read=lambda url: iter([tables]))
    assert "1/2 problems, 5/15 runs, 1 min 30 s, about 3 min left" in out.getvalue()
    assert "p round 1, 2 of 4 survive" in out.getvalue()
    assert "q round" not in out.getvalue()


def test_with_json_it_says_what_the_page_says(balancer, page):
    said = balancer("top", page.url, "--json")
    found = json.loads(said.out)
    assert (said.code, found["errors"], found["pool"]["strategy"]) == (0, [], "first")
    assert [each["name"] for each in found["endpoints"]] == [f"http://10.0.0.{n}/" for n in range(3)]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://x/", "is not the URL of a page"),
        ("http://x:99999/", "is not the URL of a page"),
        ("http://127.0.0.1:1/", "no page answers"),
        ("127.0.0.1:1", "no page answers"),
    ],
)
def test_a_url_that_is_no_page_is_a_line(balancer, url, says):
    assert balancer("top", url).refusal.startswith(f"{url}: {says}")


def test_another_server_is_told_from_a_page(page):
    with pytest.raises(ConfigError, match="found status 404, not the page of a pool"):
        next(follow(page.url + "elsewhere/"))
