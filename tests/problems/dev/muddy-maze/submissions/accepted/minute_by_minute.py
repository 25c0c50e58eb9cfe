"""Who arrives at which minute: a list for each of the next three."""
import sys

r, c, *rows = sys.stdin.read().split()
r, c = int(r), int(c)
width = c + 2
cells = "#" * width + "".join(f"#{row}#" for row in rows) + "#" * width
done = [cell == "#" for cell in cells]
end = cells.index("E")
waiting = [[cells.index("S")], [], [], []]
minute = 0
while any(waiting):
    for here in waiting.pop(0):
        if done[here]:
            continue
        done[here] = True
        if here == end:
            print(minute)
            sys.exit()
        for there in (here + 1, here - 1, here + width, here - width):
            if not done[there]:
                waiting[2 if cells[there] == "~" else 0].append(there)
    waiting.append([])
    minute += 1
print(-1)
