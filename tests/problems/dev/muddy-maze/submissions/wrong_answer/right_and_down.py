"""Only ever goes right and down, but tries all four mirror images."""
import sys

r, c, *rows = sys.stdin.read().split()
best = None
for flip in (False, True):
    for turn in (False, True):
        grid = rows[::-1] if flip else rows
        grid = [row[::-1] if turn else row for row in grid]
        start = next((i, row.index("S")) for i, row in enumerate(grid) if "S" in row)
        stop = next((i, row.index("E")) for i, row in enumerate(grid) if "E" in row)
        far = {start: 0}
        for i in range(start[0], len(grid)):
            for j in range(start[1], len(grid[0])):
                if grid[i][j] != "#" and (i, j) != start:
                    near = [far[p] for p in ((i - 1, j), (i, j - 1)) if p in far]
                    if near:
                        far[i, j] = min(near) + (3 if grid[i][j] == "~" else 1)
        if stop in far and (best is None or far[stop] < best):
            best = far[stop]
print(-1 if best is None else best)
