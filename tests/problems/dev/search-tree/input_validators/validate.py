"""n, then n probabilities with six decimals whose sum is exactly 1."""
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
n = whole(row("n", 1)[0], "n", 1, 2000)
total = 0
for i, token in enumerate(row("the probabilities", n), 1):
    if not re.fullmatch(r"[01]\.[0-9]{6}", token):
        bad(f"p_{i} is not written with six decimals: {token[:20]!r}")
    millionths = int(token.replace(".", ""))
    if not 0 < millionths <= 10**6:
        bad(f"p_{i} = {token} is not in (0, 1]")
    total += millionths
if total != 10**6:
    bad(f"the sum of the probabilities is {total / 10**6:.6f}, not 1")
end()
