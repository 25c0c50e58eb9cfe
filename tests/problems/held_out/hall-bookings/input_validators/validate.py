"""n q, then n intervals a < b that share no point, then q numbers."""
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
first = row("n q", 2)
n = whole(first[0], "n", 1, 15000)
q = whole(first[1], "q", 1, 15000)
bookings = []
for i in range(1, n + 1):
    a, b = row("a booking", 2)
    a = whole(a, "a", -10**9, 10**9)
    b = whole(b, "b", -10**9, 10**9)
    if a >= b:
        bad(f"booking {i} ends at {b}, not after its start {a}")
    bookings.append((a, b, at))
bookings.sort()
for (a, b, one), (c, d, other) in zip(bookings, bookings[1:]):
    if c <= b:
        at = max(one, other)
        bad(f"the bookings {a} {b} and {c} {d} overlap (line {min(one, other)})")
for _ in range(q):
    whole(row("a minute", 1)[0], "x", -10**9, 10**9)
end()
