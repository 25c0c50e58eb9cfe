"""n, then n profits, then n - 1 bosses with b_i < i."""
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
n = whole(row("n", 1)[0], "n", 1, 50000)
for i, token in enumerate(row("the profits", n), 1):
    whole(token, f"profit {i}", -10**9, 10**9)
if n > 1:
    for i, token in enumerate(row("the bosses", n - 1), 2):
        boss = whole(token, f"b_{i}", 1, n)
        if boss >= i:
            bad(f"the boss of {i} is {boss}, which is not smaller")
end()
