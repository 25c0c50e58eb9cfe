"""q, then q events; parcels that are named must lie on the shelf."""
import re
import sys

at = 0


def bad(words):
    print(f"line {at}: {words}", file=sys.stderr)
    sys.exit(43)


def whole(token, name, low, high):
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,18}", token):
        bad(f"{name} is not a whole number: {token[:20]!r}")
    value = int(token)
    if not low <= value <= high:
        bad(f"{name} = {value} is not in [{low}, {high}]")
    return value


def row(what, count=None):
    global at
    at += 1
    if at > len(lines):
        bad(f"end of file where {what} should be")
    tokens = lines[at - 1].split(" ")
    if count is not None and len(tokens) != count:
        bad(f"{what}: {count} tokens expected, {len(tokens)} found")
    return tokens


def end():
    global at
    if at < len(lines):
        at += 1
        bad("text after the end of the data")
    sys.exit(42)


lines = sys.stdin.buffer.read().decode("latin-1").split("\n")
if lines.pop() != "":
    at = len(lines) + 1
    bad("no newline at the end of the file")
q = whole(row("q", 1)[0], "q", 1, 40000)
shelf = set()
came = 0
asked = 0
for _ in range(q):
    kind, *rest = row("an event")
    if kind not in ("add", "take", "lighter", "heaviest"):
        bad(f"unknown event {kind[:20]!r}")
    if len(rest) != (kind != "heaviest"):
        bad(f"{kind} has {len(rest)} numbers")
    if kind == "add":
        whole(rest[0], "w", 1, 10**9)
        came += 1
        shelf.add(came)
    elif rest:
        i = whole(rest[0], "i", 1, 40000)
        if i not in shelf:
            bad(f"parcel {i} is not on the shelf")
        if kind == "take":
            shelf.remove(i)
    asked += kind in ("lighter", "heaviest")
if not asked:
    bad("no question")
end()
