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
    # Lines of two kinds; those of the first kind come first, and their numbers are told.
    "kinds of lines": Cause(
        """import re, sys
lines = sys.stdin.read().split("\\n")
assert lines.pop() == ""
a, b = map(int, lines[0].split())
assert 1 <= a <= 50 and 1 <= b <= 50
assert len(lines) == 1 + a + b
for line in lines[1 : a + 1]:
    assert re.fullmatch("[a-z]{1,10} [1-9][0-9]{0,3}", line)
names = [line.split()[0] for line in lines[1 : a + 1]]
for line in lines[a + 1 :]:
    assert re.fullmatch("ask [a-z]{1,10}|sum", line)
    assert line == "sum" or line[4:] in names
sys.exit(42)
""",
        ("2 3\nbob 5\nann 7\nask bob\nsum\nask ann\n", "1 1\nzoe 12\nsum\n"),
        """a, b = map(int, input().split())
rows = [input().split() for _ in range(a)]
for _ in range(b):
    words = input().split()
    print(sum(int(v) for n, v in rows if words[0] == "sum" or n == words[1]))
""",
        """a, b = map(int, input().split())
rows = [input().split() for _ in range(a)]
last = dict(rows)
for _ in range(b):
    words = input().split()
    print(sum(int(v) for n, v in rows) if words[0] == "sum" else last[words[1]])
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
    # A position is at most the current length.
    "current length": Cause(
        """import sys
n, q = map(int, input().split())
assert 1 <= n <= 8 and 1 <= q <= 1000
size = n
for _ in range(q):
    kind, at = input().split()
    assert kind in ("add", "cut")
    assert 1 <= int(at) <= size
    size += 1 if kind == "add" else -1
    assert size >= 1
assert sys.stdin.read() == ""
sys.exit(42)
""",
        ("3 2\nadd 3\nadd 1\n", "5 4\ncut 5\nadd 2\ncut 1\nadd 3\n"),
        """n, q = map(int, input().split())
row = list(range(n))
for i in range(q):
    kind, at = input().split()
    if kind == "add":
        row.insert(int(at), n + i)
    else:
        row.pop(int(at) - 1)
print(*row)
""",
        """n, q = map(int, input().split())
row = list(range(n))
for i in range(q):
    kind, at = input().split()
    if kind == "add":
        row.insert(int(at), n + i)
    else:
        row.pop(int(at) - 1)
    row = row[:12]
print(*row)
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
    # Each node of a tree has at most two children, and its parent comes before it.
    "binary tree": Cause(
        """import sys
n = int(input())
assert 1 <= n <= 1000
parents = list(map(int, input().split()))
assert len(parents) == n - 1
children = [0] * (n + 1)
for node, parent in enumerate(parents, 2):
    assert 1 <= parent < node
    children[parent] += 1
    assert children[parent] <= 2
assert sys.stdin.read() == ""
sys.exit(42)
""",
        ("3\n1 1\n", "6\n1 1 2 3 3\n"),
        """n = int(input())
depth = [0] * (n + 1)
for node, parent in enumerate(map(int, input().split()), 2):
    depth[node] = depth[parent] + 1
print(max(depth))
""",
        """n = int(input())
depth = [0] * (n + 1)
for node, parent in enumerate(map(int, input().split()), 2):
    depth[node] = min(depth[parent] + 1, 4)
print(max(depth))
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
    # The product of two greatest values does not fit.
    "product of bounds": Cause(
        """import sys
a, b = map(int, input().split())
assert 1 <= a <= 1000000 and 1 <= b <= 1000000
sys.exit(42)
""",
        ("3 4\n", "100 200\n"),
        "a, b = map(int, input().split())\nprint(a * b)\n",
        "a, b = map(int, input().split())\nprint(a * b % 2**31)\n",
    ),
    # Several values are the greatest one.
    "equal maxima": Cause(
        _LIST,
        ("3\n5 1 4\n", "4\n7 9 2 1\n"),
        "n = int(input())\na = list(map(int, input().split()))\nprint(n - a[::-1].index(max(a)))\n",
        "n = int(input())\na = list(map(int, input().split()))\nprint(1 + a.index(max(a)))\n",
    ),
    # A mean just at a half.
    "half": Cause(
        _LIST,
        ("3\n5 1 4\n", "4\n7 9 2 1\n"),
        "n = int(input())\nprint((2 * sum(map(int, input().split())) + n) // (2 * n))\n",
        "n = int(input())\nprint(round(sum(map(int, input().split())) / n))\n",
    ),
}
