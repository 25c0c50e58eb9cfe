"""Looks through all cells that were seen for the nearest one, for every step."""
import sys

r, c, *rows = sys.stdin.read().split()
cells = {(i, j): cell for i, row in enumerate(rows) for j, cell in enumerate(row) if cell != "#"}
far = {at: 0 for at in cells if cells[at] == "S"}
done = set()
while True:
    left = [at for at in far if at not in done]
    if not left:
        print(-1)
        break
    i, j = at = min(left, key=far.__getitem__)
    if cells[at] == "E":
        print(far[at])
        break
    done.add(at)
    for there in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
        if there in cells:
            time = far[at] + (3 if cells[there] == "~" else 1)
            if time < far.get(there, time + 1):
                far[there] = time
