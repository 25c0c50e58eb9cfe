import random
import sys

draw = random.Random(2205)


def write(name, rows):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(rows)} {len(rows[0])}\n" + "".join("".join(row) + "\n" for row in rows))


def grid(r, c, kinds, start=None, stop=None):
    rows = [draw.choices(kinds, k=c) for _ in range(r)]
    places = draw.sample(range(r * c), 2)
    i, j = start or divmod(places[0], c)
    rows[i][j] = "S"
    i, j = stop or divmod(places[1], c)
    rows[i][j] = "E"
    return rows


def snake(r, c, floor):
    """One corridor through all rows, from the bottom to the top."""
    rows = []
    for i in range(r):
        if i % 2 == 0:
            rows.append([floor] * c)
        else:
            rows.append(["#"] * c)
            rows[-1][0 if i // 2 % 2 else -1] = floor
    return rows


write("01-two-cells", ["SE"])
write("02-two-cells", ["E", "S"])
write("03-wrap", ["..#S", "..#.", "E.##"])
write("04-around-mud", ["S~~~~E", "......"])
write("05-through-mud", ["S~~E", ".##.", "....", "...."][:3] + ["...."])
write("06-wide", grid(5, 190, "..~#"))
write("07-tall", grid(190, 7, "...~~#", (0, 0), (189, 6)))
write("08-open", grid(200, 200, ".~", (199, 199), (0, 0)))
rows = snake(199, 200, ".")
rows[198][0 if 198 // 2 % 2 else -1] = "S"
rows[0][0] = "E"
write("09-snake", rows)
rows = snake(199, 199, "~")
rows[0][0] = "S"
rows[198][198 if 198 // 2 % 2 == 0 else 0] = "E"
write("10-muddy-snake", rows)
write("11-walls", grid(200, 150, "....~###"))
write("12-detour", ["S#.....", ".#.###.", ".#.#E#.", ".#.#.#.", ".#.#.#.", "...#..."])
