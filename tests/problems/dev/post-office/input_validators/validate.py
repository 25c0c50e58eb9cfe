"""Line 1: n. Then n - 1 lines 'u v w' that form a tree."""
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
n = whole(row("n", 1)[0], "n", 1, 20000)
root = list(range(n + 1))


def find(u):
    while root[u] != u:
        root[u] = root[root[u]]
        u = root[u]
    return u


for _ in range(n - 1):
    u, v, w = row("a road", 3)
    u = whole(u, "u", 1, n)
    v = whole(v, "v", 1, n)
    whole(w, "w", 1, 10**6)
    if u == v:
        bad(f"a road from {u} to itself")
    if find(u) == find(v):
        bad(f"the road {u} {v} closes a cycle: the roads are not a tree")
    root[find(u)] = find(v)
end()
