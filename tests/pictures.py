"""Pictures of all pages, before and after their redesign, as docs/pictures.md shows them, from a real browser.

    make pictures                                                       # all, in half an hour
    .venv/bin/python -m tests.pictures docs FOLDER [--only page-4 run]  # FOLDER keeps the reports between two calls
    .venv/bin/python -m tests.pictures page URL PICTURE.png [--width 1280] [--dark] [--height 900]

A picture has windows side by side: of 1280 and of 500 px, light and dark; of a report also its print. The state before
is that of a commit, which is checked out beside this one. All pictures have at most 1.5 MB. It needs Chromium and Git.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

from tests.browser import Browser

BEFORE: Final = "db03d632"  # the last commit before the redesign
_TREE: Final = Path(__file__).parents[1]
_SHOWN: Final = _TREE / "docs" / "images" / "pages"
_MOST_BYTES: Final = 1_500_000
_WINDOWS: Final = ((1280, False), (1280, True), (500, False), (500, True))
_MOST_HIGH: Final = 1700  # px of a page that are shown
_SCALE: Final = 0.36
_WORK_S: Final = 25.0
_RUNS_S: Final = 100.0  # until some problems have cases
_LIVE: Final = {"page-4": ("pool", "4"), "page-40": ("pool", "40"), "page-400": ("pool", "400"),
                "drawer": ("pool", "12"), "served": ("served",), "proxied": ("proxied",),
                "running": ("running", str(_TREE / "examples" / "quickstart.toml"))}  # fmt: skip
# Pictures that other pages of the docs show: a part, its height in px.
_ALONE: Final = {"page": ("page-40-1280-light", 1050), "page-500": ("page-4-500-dark", 1900),
                 "page-drawer": ("drawer-1280-light", 900), "page-run": ("running-1280-light", 1300),
                 "report": ("run-1280-light", 1160), "simulation": ("compare-1280-light", 1000)}  # fmt: skip
_LOG: Final = _TREE / "notebooks" / "data" / "haproxy.log.gz"
_SCENARIO: Final = _TREE / "examples" / "scenarios" / "guide" / "3-black-hole.toml"
_REPORTS: Final[Mapping[str, tuple[str, tuple[tuple[str, ...], ...]]]] = {  # the page, and the commands that make it
    "run": ("run/report.html", (("run", "run.toml", "--results", "run"),)),
    "compare": ("compare/report.html", (("compare", str(_SCENARIO), "--replications", "3", "--out", "compare"),)),
    "fit": ("fit/fit.html", (("trace", str(_LOG), "--out", "calls.jsonl"),
                             ("fit", "calls.jsonl", "--report", "fit"))),
    "recommend": ("recommend/recommendation.html", (
        ("trace", str(_LOG), "--out", "calls.jsonl"),
        ("recommend", "calls.jsonl", "--p99", "900ms", "--load", "x1.3", "--draws", "10", "--report", "recommend"))),
}  # fmt: skip


def tree_before(folder: Path) -> Path:
    """Return the tree of the state before, checked out in `folder` if it is not there yet."""
    tree = folder / "tree"
    if not tree.exists():
        subprocess.run(["git", "worktree", "prune"], cwd=_TREE, check=True)
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), BEFORE], cwd=_TREE, check=True)
    return tree


def _environment(tree: Path) -> dict[str, str]:
    places = [str(tree), str(tree / "strategies"), str(tree / "simulator")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONUNBUFFERED": "1"}


def report_of(name: str, tree: Path, folder: Path) -> Path:
    """Return the page of a report of this tree, made if it is not in `folder` yet."""
    page, commands = _REPORTS[name]
    if not (folder / page).exists():
        folder.mkdir(parents=True, exist_ok=True)
        config = (tree / "examples" / "quickstart.toml").read_text()
        config = config.replace('"examples/', f'"{tree}/examples/').replace("max_inputs = 20", "max_inputs = 4")
        (folder / "run.toml").write_text(config)
        for command in commands:
            whole = [sys.executable, "-P", "-m", "balancer", *command]
            subprocess.run(whole, cwd=folder, env=_environment(tree), check=True, stdout=subprocess.DEVNULL)
    return folder / page


@contextmanager
def page_of(name: str, tree: Path) -> Iterator[str]:
    """Yield the URL of a live page of this tree that has worked for a while."""
    command = [sys.executable, "-P", str(_TREE / "tests" / "pages_at_work.py"), *_LIVE[name]]
    with subprocess.Popen(
        command,
        env=_environment(tree),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            time.sleep(_RUNS_S if name == "running" else _WORK_S)
            yield url
        finally:
            assert process.stdin is not None
            process.stdin.close()


def take(
    url: str, picture: Path, width: int, height: int, *, dark: bool, paper: bool = False, drawer: bool = False
) -> int:
    """Write the picture of a page, and return how wide the page is.

    Args:
        height: 0: the whole of it.
        paper: whether as it is printed.
        drawer: whether with its first endpoint.
    """
    with Browser(width, height or 900, dark=dark) as browser:
        if paper:
            theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            browser.call("Emulation.setEmulatedMedia", media="print", features=[theme])
        browser.open(url)
        browser.until("document.readyState === 'complete' && !!document.querySelector('footer, #link')")
        if url.startswith("http:"):
            browser.until("document.querySelector('#link').textContent === 'live'")
            time.sleep(4.0)  # for some changes
        if drawer:
            browser.value("document.querySelector('.open').click()")
            browser.until("document.querySelector('#errors').children.length > 0")
            time.sleep(4.0)
        assert browser.errors() == [], browser.errors()
        tall, wide = (browser.value(f"document.documentElement.scroll{side}") for side in ("Height", "Width"))
        print(f"{picture.name}: {wide} x {tall} px in a window of {width} px", flush=True)
        browser.picture(picture, whole=height == 0 and not drawer)
        return int(wide)


def side_by_side(pictures: Sequence[Path], to: Path) -> None:
    """Write pictures beside each other, small."""
    parts = [Image.open(each).convert("RGB") for each in pictures]
    parts = [each.crop((0, 0, each.width, min(each.height, _MOST_HIGH))) for each in parts]
    small = [
        each.resize((round(each.width * _SCALE), round(each.height * _SCALE)), Image.Resampling.LANCZOS)
        for each in parts
    ]
    gap = 8
    whole = Image.new(
        "RGB", (sum(each.width + gap for each in small) - gap, max(each.height for each in small)), "#8a8f98"
    )
    left = 0
    for each in small:
        whole.paste(each, (left, 0))
        left += each.width + gap
    whole.save(to, "WEBP", quality=50, method=6)


def _pictures_of(name: str, url: str, folder: Path, to: Path) -> list[str]:
    """Write the picture of a page, and return in which windows the page is too wide."""
    found, too_wide = [], []
    windows = [(f"{width}-{'dark' if dark else 'light'}", width, dark, False) for width, dark in _WINDOWS]
    if name in _REPORTS:  # A4 without margins, which a dark theme must not reach
        windows.append(("paper", 703, True, True))
    for words, width, dark, paper in windows:
        found.append(folder / f"{name}-{words}.png")
        if take(url, found[-1], width, 0, dark=dark, paper=paper, drawer=name == "drawer") > width:
            too_wide.append(f"{name} in {words}")
    side_by_side(found, to)
    return too_wide


def pictures_of_all(folder: Path, only: Sequence[str]) -> None:
    """Write the pictures of the docs; keep all parts in `folder`."""
    _SHOWN.mkdir(parents=True, exist_ok=True)
    too_wide: list[str] = []
    for state, tree in (("before", tree_before(folder)), ("after", _TREE)):
        place = folder / state
        place.mkdir(parents=True, exist_ok=True)
        for name in [each for each in (*_LIVE, *_REPORTS) if not only or each in only]:
            if (name, state) == ("drawer", "before"):
                continue  # there was none
            to = _SHOWN / f"{name}-{state}.webp"
            if name in _REPORTS:
                wide = _pictures_of(name, report_of(name, tree, place).resolve().as_uri(), place, to)
            else:
                with page_of(name, tree) as url:
                    wide = _pictures_of(name, url, place, to)
            too_wide += wide if state == "after" else []
    assert not too_wide, f"wider than their window: {', '.join(too_wide)}"
    for name, (part, high) in _ALONE.items():
        if (picture := folder / "after" / f"{part}.png").exists():
            shown = Image.open(picture).convert("RGB")
            shown.crop((0, 0, shown.width, min(high, shown.height))).save(_SHOWN.with_name(f"{name}.webp"), quality=65)
    size = sum(each.stat().st_size for each in _SHOWN.parent.rglob("*.webp"))
    print(f"{_SHOWN.parent}: {size} bytes")
    assert size <= _MOST_BYTES, f"{size} bytes; at most {_MOST_BYTES} are kept in the repository"


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    docs = kinds.add_parser("docs")
    docs.add_argument("folder", type=Path)
    docs.add_argument("--only", nargs="*", default=(), choices=(*_LIVE, *_REPORTS))
    page = kinds.add_parser("page")
    page.add_argument("url", help="of a page, or a file")
    page.add_argument("picture", type=Path)
    page.add_argument("--width", type=int, default=1280)
    page.add_argument("--height", type=int, default=0)
    for option in ("--dark", "--paper", "--drawer"):
        page.add_argument(option, action="store_true")
    asked = parser.parse_args()
    if asked.kind == "docs":
        pictures_of_all(asked.folder.resolve(), asked.only)
        return
    url = asked.url if "://" in asked.url else Path(asked.url).resolve().as_uri()
    take(url, asked.picture, asked.width, asked.height, dark=asked.dark, paper=asked.paper, drawer=asked.drawer)


if __name__ == "__main__":
    main()
