import random
import sys

draw = random.Random(3606)


def write(name, rows):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(rows)}\n" + "".join(f"{len(r)}\n{' '.join(map(str, r))}\n" for r in rows))


def some(n, high):
    return [draw.randint(1, high) for _ in range(n)]


write("01-one", [[10**18]])
write("02-inside-out", [[1, 2, 2, 1], [1, 2, 3, 4, 4, 3, 2, 1, 5]])
write("03-same-again", [[1, 2, 3], [3, 2, 1], [1, 2, 3, 4]])
write("04-small", [some(draw.randint(1, 9), 5) for _ in range(40)])
write("05-wide", [[2**32 + 5, 5, 2**33 + 5], [2**31, 1]])
write("06-many-rows", [some(4, 9) for _ in range(10000)])
write("07-distinct", [list(range(1, 9001))])
write("08-equal", [[7] * 5000])
write("09-multiples", [[42043 * i for i in range(1, 41999)]])
write("10-large", [some(1500, 10**18) for _ in range(2)])
write("11-around", [list(range(1, 3001)) * 3])
