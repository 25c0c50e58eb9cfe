"""The page in a real browser: what it shows, that nothing is refused by its own policy, and that its buttons work.

Chromium is a package of the system; where it is not installed this is not run.
"""

import time

import pytest

from balancer import Endpoint, EndpointError, HealthSettings, Outcome, Pool
from tests.browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.more,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]
TOKEN = "t0ken-of-the-page-x"


@pytest.fixture
def pool():
    health = HealthSettings(cooldown_s=300.0)  # longer than a busy machine takes for a page
    endpoints = [Endpoint(f"http://10.0.0.{n}:8080/", capacity=2) for n in range(4)]
    with Pool(endpoints, strategy="first", health=health) as made:
        yield made


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (500, True)])
def test_it_shows_the_pool_and_fits_the_window(pool, tmp_path, width, dark):
    with pool.serve_page() as page, Browser(width, dark=dark) as browser:
        for _ in range(5):
            pool.acquire(timeout=0).release(Outcome.FAILURE)
        pool.acquire(timeout=0, holder="sample <b>7</b>")
        browser.open(page.url)
        browser.until("document.querySelector('#link')?.textContent === 'live'")
        browser.until("document.querySelectorAll('#endpoints tbody tr').length === 4")
        text = browser.value("document.body.innerText")
        for said in ("first · 4 endpoints", "10.0.0.1:8080", "ejected: 5 failures in a row", "sample <b>7</b>"):
            assert said in text
        assert browser.value("document.querySelector('#tiles').innerText").split("\n")[:2] == ["slots in use", "1"]
        first = pool.stats().acquired
        pool.acquire(timeout=0).release()
        browser.until(f"document.querySelector('#tiles').innerText.includes('leases\\n{first + 1}')")
        assert browser.value("document.documentElement.scrollWidth") <= width
        painted = "[...document.querySelector('#line').getContext('2d').getImageData(0, 0, 300, 60).data].some(x => x)"
        assert browser.value(painted)
        back = browser.value("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(17, 21, 27)" if dark else "rgb(251, 251, 252)")
        assert browser.value("document.querySelector('#key').hidden")
        browser.picture(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert browser.errors() == []


def test_its_buttons_work_with_the_token_and_say_so_without(pool):
    with pool.serve_page(token=TOKEN) as page, Browser() as browser:
        browser.open(page.url)
        browser.until("document.querySelectorAll('#endpoints .act button').length === 4")
        assert browser.value("[...document.querySelectorAll('#endpoints .act button')].every(b => b.disabled)")
        row = "[...document.querySelectorAll('#endpoints tr')].find(r => r.textContent.includes('10.0.0.1'))"
        button = f"{row}.querySelector('.act button')"
        give = "(t => {const i = document.querySelector('#token'); i.value = t; i.dispatchEvent(new Event('input'))})"
        browser.value(f"{give}('wrong-wrong-wrong-wrong'), {button}.click()")
        said = browser.until("document.querySelector('#said').textContent")
        assert said == "drain: the token is wrong or missing"
        assert pool.stats().endpoints[1].state == "active"
        browser.value(f"{give}('{TOKEN}'), {button}.click()")
        browser.until(f"{button}.textContent === 'restore'")
        assert pool.stats().endpoints[1].state == "draining"
        browser.value(f"{button}.click()")
        browser.until(f"{button}.textContent === 'drain'")
        assert pool.stats().endpoints[1].state == "active"
        assert browser.value("document.querySelector('#said').textContent") == ""
        assert TOKEN not in browser.value("location.href + JSON.stringify({...localStorage, ...sessionStorage})")


def test_it_says_when_it_is_cut_off_and_comes_back(pool):
    with Browser() as browser:
        page = pool.serve_page()
        browser.open(page.url)
        browser.until("document.querySelector('#link')?.textContent === 'live'")
        port = int(page.url.rsplit(":", 1)[1].strip("/"))
        page.close()
        browser.until("document.querySelector('#link').className === 'off'")
        time.sleep(0.1)
        with pool.serve_page(port):
            browser.until("document.querySelector('#link').textContent === 'live'")


def test_it_filters_sorts_and_opens_a_drawer_with_the_last_errors(pool):
    hostile = "<img src=x onerror=document.title='taken'>"
    with pool.serve_page(token=TOKEN, name=hostile) as page, Browser(500) as browser:
        for _ in range(5):
            with pytest.raises(EndpointError), pool.lease(timeout=0):
                raise EndpointError(hostile)
        browser.open(page.url)
        names = "[...document.querySelectorAll('#endpoints .open')].map(x => x.title)"
        browser.until(f"{names}.length === 4")
        assert browser.value(f"{names}[0]") == "http://10.0.0.0:8080/"  # the worst first
        browser.value("document.querySelector('#by-name button').click()")
        browser.value("document.querySelector('#by-name button').click()")
        assert browser.value(f"{names}[0]") == "http://10.0.0.3:8080/"
        assert browser.value("document.querySelector('#by-name').ariaSort") == "descending"
        browser.value("document.querySelector('#troubled').click()")
        assert browser.until(f"{names}.length === 1 && {names}[0]") == "http://10.0.0.0:8080/"
        browser.value("document.querySelector('.open').click()")
        browser.until("document.querySelectorAll('#errors time').length === 5")
        text = browser.value("document.querySelector('#drawer').innerText")
        assert f"failure: EndpointError: {hostile}" in text
        assert browser.value("document.querySelectorAll('img').length") == 0
        assert browser.value("document.documentElement.scrollWidth") <= 500
        assert browser.value("[599.7, 3599.7, 7199, 99.6, 0.9999].map(span)") == [
            "10 min 00 s", "1 h 00 min", "2 h 00 min", "1 min 40 s", "1.0 s",
        ]  # fmt: skip
        browser.value("document.querySelector('#shut').click(), document.querySelector('#troubled').click()")
        browser.value(
            "(i => {i.value = '0.2:'; i.dispatchEvent(new Event('input'))})(document.querySelector('#filter'))"
        )
        assert browser.value(names) == ["http://10.0.0.2:8080/"]
        give = "(t => {const i = document.querySelector('#token'); i.value = t; i.dispatchEvent(new Event('input'))})"
        browser.value(f"{give}('{TOKEN}'), document.querySelector('.open').click()")
        browser.value("document.querySelector('#how button').click()")
        browser.until("document.querySelector('#how button').textContent === 'restore'")
        assert [each.state for each in pool.stats().endpoints] == ["active", "active", "draining", "active"]
        assert hostile in browser.value("document.title")
        assert browser.errors() == []
