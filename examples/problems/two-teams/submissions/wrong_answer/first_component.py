# Wrong: searches from member 1 only; members not reached all get team 1.
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
others = [[] for _ in range(n + 1)]
for u, v in zip(numbers[::2], numbers[1::2]):
    others[u].append(v)
    others[v].append(u)

team = {1: 1}
stack = [1]
possible = True
while stack:
    u = stack.pop()
    for v in others[u]:
        if v not in team:
            team[v] = 3 - team[u]
            stack.append(v)
        elif team[v] == team[u]:
            possible = False
if possible:
    print(*(team.get(i, 1) for i in range(1, n + 1)))
else:
    print("impossible")
