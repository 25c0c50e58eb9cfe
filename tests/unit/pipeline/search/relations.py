"""Tiny packages for tests of generators, each with one cause for which a wrong program survives.

`CAUSES`: a relation between values that samples alone do not tell. `CORNERS`: a rare value.
"""

from dataclasses import dataclass

__all__ = ["CAUSES", "CORNERS", "Cause"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A package.

    Args:
        validator: the text of its input validator, in Python.
        samples: its inputs.
        accepted, wrong: two submissions, in Python; the wrong one is right on the samples.
    """

    validator: str
    samples: tuple[str, ...]
    accepted: str
    wrong: str


CAUSES = {
    # A query names something that was added and not removed since.
    "earlier deletions": Cause(
        """import sys
n = int(sys.stdin.readline())
assert 1 <= n <= 1000
there = set()
for _ in range(n):
    kind, x = sys.stdin.readline().split()
    x = int(x)
    assert 1 <= x <= 100000
    if kind == "1":
        assert x not in there
        there.add(x)
    elif kind == "2":
        assert x in there
        there.remove(x)
    else:
        assert kind == "3"
        assert x in there
assert sys.stdin.readline() == ""
sys.exit(42)
""",
        ("3\n1 5\n3 5\n2 5\n", "5\n1 70\n1 31\n3 70\n2 70\n3 31\n"),
        """order = []
for _ in range(int(input())):
    kind, x = input().split()
    if kind == "1":
        order.append(x)
    elif kind == "2":
        order.remove(x)
    else:
        print(order.index(x))
""",
        """order = []
for _ in range(int(input())):
    kind, x = input().split()
    if kind == "1":
        order.append(x)
    elif kind == "2":
        at = order.index(x)
        order[at] = order[-1]
        order.pop()
    else:
        print(order.index(x))
""",
    ),
    # Bars of two kinds alternate, and each is not lower than the last of its kind.
    "alternation": Cause(
        """import sys
n = int(input())
assert 1 <= n <= 1000
last = {"U": 0, "D": 0}
before = ""
for _ in range(n):
    kind, height = input().split()
    assert kind in last
    assert kind != before
    assert last[kind] <= int(height) <= 1000
    before, last[kind] = kind, int(height)
assert sys.stdin.read() == ""
sys.exit(42)
""",
        ("2\nU 3\nD 1\n", "5\nD 2\nU 2\nD 4\nU 9\nD 8\n"),
        """total = 0
for _ in range(int(input())):
    kind, height = input().split()
    total += int(height) if kind == "U" else -int(height)
print(total)
""",
        """rows = [input().split() for _ in range(int(input()))]
total = 0
for kind, height in rows[:8]:
    total += int(height) if kind == "U" else -int(height)
print(total)
""",
    ),
    # A number is derived from later lines: here how many of them differ.
    "derived count": Cause(
        """import sys
n, m = map(int, sys.stdin.readline().split())
assert 1 <= n <= 1000
words = [sys.stdin.readline().split() for _ in range(n)]
pairs = {(a, b) if a < b else (b, a) for a, b in words}
for a, b in words:
    assert 1 <= int(a) <= 30 and 1 <= int(b) <= 30 and a != b
if m != len(pairs):
    print(f"m is wrong, should be {len(pairs)}", file=sys.stderr)
    sys.exit(43)
assert sys.stdin.read() == ""
sys.exit(42)
""",
        ("2 1\n1 2\n2 1\n", "4 3\n3 1\n1 3\n2 3\n4 1\n"),
        """n, m = map(int, input().split())
at = {}
for _ in range(n):
    for x in map(int, input().split()):
        at[x] = at.get(x, 0) + 1
print(m, max(at.values()))
""",
        """n, m = map(int, input().split())
at = {}
for _ in range(min(n, 8)):
    for x in map(int, input().split()):
        at[x] = at.get(x, 0) + 1
print(m, max(at.values()))
""",
    ),
}

_LIST = """import sys
n = int(input())
assert 1 <= n <= 2000
a = list(map(int, input().split()))
assert len(a) == n
assert all(1 <= x <= 1000000 for x in a)
assert sys.stdin.read() == ""
sys.exit(42)
"""

CORNERS = {
    # Off by one at a bound that only the programs name.
    "bound in code": Cause(
        """import sys
t, k = map(int, input().split())
assert 0 <= t <= 100000 and 1 <= k <= 9
sys.exit(42)
""",
        ("30 2\n", "9000 3\n"),
        "t, k = map(int, input().split())\nprint(k * (5 if t < 5400 else 9))\n",
        "t, k = map(int, input().split())\nprint(k * (5 if t <= 5400 else 9))\n",
    ),
    # A number of things at which a wrong program changes its way.
    "count in code": Cause(
        _LIST,
        ("3\n5 1 4\n", "2\n7 7\n"),
        "n = int(input())\nprint(sum(map(int, input().split())))\n",
        "n = int(input())\na = list(map(int, input().split()))\nprint(sum(a) if n != 366 else 0)\n",
    ),
}
