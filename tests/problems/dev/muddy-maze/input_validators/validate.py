"""r c, then a grid with exactly one S and one E."""
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
first = row("r c", 2)
r = whole(first[0], "r", 1, 200)
c = whole(first[1], "c", 1, 200)
if r * c < 2:
    bad("no room for S and E")
count = {"S": 0, "E": 0}
for i in range(r):
    cells = row("a row of the grid", 1)[0]
    if len(cells) != c:
        bad(f"the row has {len(cells)} cells, not {c}")
    for cell in cells:
        if cell not in "#.~SE":
            bad(f"unknown cell {cell!r}")
        if cell in count:
            count[cell] += 1
            if count[cell] > 1:
                bad(f"more than one {cell}")
for cell in count:
    if not count[cell]:
        bad(f"there is no {cell}")
end()
