"""n, then n distinct words of small letters, 10^5 letters at most in all."""
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
n = whole(row("n", 1)[0], "n", 1, 10**4)
seen = {}
letters = 0
for _ in range(n):
    word = row("a word", 1)[0]
    if not re.fullmatch("[a-z]+", word):
        bad(f"not a word of small letters: {word[:20]!r}")
    if word in seen:
        bad(f"the word occurred in line {seen[word]} already: {word[:20]!r}")
    seen[word] = at
    letters += len(word)
    if letters > 10**5:
        bad("more than 100000 letters in all")
end()
