"""A queue, and a cell is final when it is first put there, but muddy cells wait three turns from the end."""
import sys
from collections import deque

r, c, *rows = sys.stdin.read().split()
r, c = int(r), int(c)
start = next((i, row.index("S")) for i, row in enumerate(rows) if "S" in row)
far = {start: 0}
queue = deque([start])
while queue:
    i, j = queue.popleft()
    for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
        if 0 <= a < r and 0 <= b < c and rows[a][b] != "#" and (a, b) not in far:
            mud = rows[a][b] == "~"
            far[a, b] = far[i, j] + (3 if mud else 1)
            if mud:
                queue.append((a, b))
            else:
                queue.appendleft((a, b))
stop = next((i, row.index("E")) for i, row in enumerate(rows) if "E" in row)
print(far.get(stop, -1))
