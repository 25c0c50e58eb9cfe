"""Pictures of the live page, as the docs show them: a pool with faults, in a browser without a window.

    .venv/bin/python -m tests.pictures page FOLDER [--many 40] [--seconds 20]    # 1280 and 500 px, light and dark
    .venv/bin/python -m tests.pictures report FILE.html PICTURE.png [--width 1280] [--dark] [--height 900]

It needs Chromium. With `--many 12 --seconds 60`, `page-12-1280-light.png` is docs/images/page.png,
`page-12-500-dark.png` is page-500.png, and `drawer-12-1280-light.png` is page-drawer.png.
"""

import argparse
import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from balancer import Endpoint, EndpointError, EndpointOverloaded, HealthSettings, Lease, Pool
from tests.browser import Browser

_THEMES = (("light", False), ("dark", True))


def pool_at_work(many: int, stack: ExitStack) -> Pool:
    """Return a pool of `many` endpoints under load, with some that fail, ask for rests, or drain."""
    health = HealthSettings(cooldown_s=3.0, max_cooldown_s=3.0)
    names = [f"http://verifier-{number:03}.rack-{number % 7}.cluster.example:8080/" for number in range(many)]
    pool = stack.enter_context(Pool([Endpoint(name, capacity=4) for name in names], health=health, seed=1))
    over = threading.Event()
    rng = random.Random(1)

    def work(lease: Lease) -> None:
        number = names.index(lease.endpoint.url)
        over.wait(rng.uniform(0.02, 0.25) * (1 + number % 3))
        if number % 10 == 1 and rng.random() < 0.9:
            raise EndpointError("connection refused")
        if number % 4 == 2 and rng.random() < 0.04:
            raise EndpointOverloaded("status 429", retry_after_s=0.5)
        if number % 9 == 3 and rng.random() < 0.03:
            raise EndpointError("status 500: worker crashed")

    def call(user: str) -> None:
        while not over.is_set():
            try:
                with pool.lease(holder=user, timeout=5.0) as lease:
                    work(lease)
            except Exception:  # what goes wrong is what is shown
                over.wait(0.01)

    crew = [threading.Thread(target=call, args=(f"run {n % 5}",)) for n in range(min(200, 4 * many))]
    for each in crew:
        each.start()

    def rest() -> None:
        over.set()
        for each in crew:
            each.join()

    stack.callback(rest)
    if many > 4:
        pool.drain(names[5])
    return pool


def pictures_of_the_page(folder: Path, sizes: Sequence[int], work_s: float) -> None:
    """Write the pictures, and those of an open drawer, of pools of these sizes, after so many seconds of work."""
    folder.mkdir(parents=True, exist_ok=True)
    for many in sizes:
        with ExitStack() as stack:
            pool = pool_at_work(many, stack)
            page = stack.enter_context(pool.serve_page(token="a-token-for-pictures", name="verifiers"))
            time.sleep(work_s)
            for width in (1280, 500):
                for theme, dark in _THEMES:
                    browser = stack.enter_context(Browser(width, 900, dark=dark))
                    browser.open(page.url)
                    browser.until("document.querySelector('#link')?.textContent === 'live'")
                    time.sleep(3.0)  # for some changes
                    browser.picture(folder / f"page-{many}-{width}-{theme}.png")
                    browser.value("document.querySelector('.open').click()")
                    browser.until("document.querySelector('#errors').children.length > 0")
                    time.sleep(4.0)
                    browser.picture(folder / f"drawer-{many}-{width}-{theme}.png", whole=False)
                    assert browser.errors() == [], browser.errors()
                    wide = browser.value("document.documentElement.scrollWidth")
                    assert wide <= width, f"{many} endpoints: the page is {wide} px wide in a window of {width} px"


def picture_of_a_report(file: Path, picture: Path, width: int, height: int, *, dark: bool) -> None:
    """Write the picture of a report; height 0: the whole of it."""
    with Browser(width, height or 900, dark=dark) as browser:
        browser.open(file.resolve().as_uri())
        browser.until("document.readyState === 'complete' && !!document.querySelector('footer')")
        tall, wide = (browser.value(f"document.documentElement.scroll{side}") for side in ("Height", "Width"))
        print(f"{picture}: {wide} x {tall} px")
        browser.picture(picture, whole=height == 0)


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    page = kinds.add_parser("page")
    page.add_argument("folder", type=Path)
    page.add_argument("--many", type=int, nargs="*", default=(4, 40, 400))
    page.add_argument("--seconds", type=float, default=20.0)
    report = kinds.add_parser("report")
    report.add_argument("file", type=Path)
    report.add_argument("picture", type=Path)
    report.add_argument("--width", type=int, default=1280)
    report.add_argument("--height", type=int, default=0)
    report.add_argument("--dark", action="store_true")
    asked = parser.parse_args()
    if asked.kind == "page":
        pictures_of_the_page(asked.folder, asked.many, asked.seconds)
    else:
        picture_of_a_report(asked.file, asked.picture, asked.width, asked.height, dark=asked.dark)


if __name__ == "__main__":
    main()
