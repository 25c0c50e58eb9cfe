"""check.py input answer feedback < output: any village with the smallest sum."""
import sys

with open(sys.argv[1]) as file:
    n, *numbers = map(int, file.read().split())
with open(sys.argv[2]) as file:
    best = int(file.read().split()[1])


def finish(code, words):
    with open(sys.argv[3] + "/judgemessage.txt", "w") as file:
        file.write(words + "\n")
    sys.exit(code)


tokens = sys.stdin.read().split()
if len(tokens) != 2 or not all(t.isascii() and t.isdigit() and len(t) < 20 for t in tokens):
    finish(43, "two whole numbers are expected")
home, total = map(int, tokens)
if not 1 <= home <= n:
    finish(43, "no such village")
if total != best:
    finish(43, f"the sum is {total}, the best is {best}")
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))
far = [-1] * (n + 1)
far[home] = 0
stack = [home]
while stack:
    u = stack.pop()
    for v, w in roads[u]:
        if far[v] < 0:
            far[v] = far[u] + w
            stack.append(v)
if sum(far[1:]) != best:
    finish(43, f"village {home} has the sum {sum(far[1:])}")
finish(42, "ok")
