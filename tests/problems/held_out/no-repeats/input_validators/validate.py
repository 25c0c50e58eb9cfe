"""t, then t rows: n, then n numbers; the sum of n is bounded."""
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
t = whole(row("t", 1)[0], "t", 1, 10**4)
total = 0
for i in range(t):
    n = whole(row("n", 1)[0], "n", 1, 42000)
    total += n
    if total > 42000:
        bad(f"the sum of n over all rows is more than 42000: {total}")
    for j, token in enumerate(row("a row", n), 1):
        whole(token, f"number {j}", 1, 10**18)
end()
