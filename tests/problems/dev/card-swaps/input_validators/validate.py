"""n, then a permutation of 1 to n."""
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
cards = [whole(token, f"card {i}", 1, n) for i, token in enumerate(row("the cards", n), 1)]
seen = set()
for card in cards:
    if card in seen:
        bad(f"card {card} occurs twice: not a permutation")
    seen.add(card)
end()
