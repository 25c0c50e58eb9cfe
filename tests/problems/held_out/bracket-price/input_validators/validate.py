"""One line of balanced brackets."""
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
text = row("the text", 1)[0]
if not 1 <= len(text) <= 10**5:
    bad(f"the length of the text is {len(text)}, not in [1, 100000]")
partner = {")": "(", "]": "["}
open_ones = []
for i, bracket in enumerate(text, 1):
    if bracket in "([":
        open_ones.append(bracket)
    elif bracket not in partner:
        bad(f"character {i} is {bracket!r}, which is no bracket")
    elif not open_ones:
        bad(f"character {i}, {bracket}, closes nothing: the brackets are not balanced")
    elif open_ones.pop() != partner[bracket]:
        bad(f"character {i}, {bracket}, closes a bracket of the other kind: the brackets are not balanced")
if open_ones:
    bad(f"{len(open_ones)} brackets are not closed: the brackets are not balanced")
end()
