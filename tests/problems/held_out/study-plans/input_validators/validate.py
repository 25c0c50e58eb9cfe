"""n m, then m different rules 'a b' without a cycle."""
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
first = row("n m", 2)
n = whole(first[0], "n", 2, 5000)
m = whole(first[1], "m", 0, 10**4)
after = [[] for _ in range(n + 1)]
before = [0] * (n + 1)
seen = set()
for _ in range(m):
    a, b = row("a rule", 2)
    rule = whole(a, "a", 1, n), whole(b, "b", 1, n)
    if rule[0] == rule[1]:
        bad(f"course {a} after itself")
    if rule in seen:
        bad(f"the rule {a} {b} is listed twice")
    seen.add(rule)
    after[rule[0]].append(rule[1])
    before[rule[1]] += 1
free = [course for course in range(1, n + 1) if not before[course]]
for course in free:
    for b in after[course]:
        before[b] -= 1
        if not before[b]:
            free.append(b)
if len(free) < n:
    bad("the rules have a cycle")
end()
