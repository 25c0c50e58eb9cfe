import random
import sys

draw = random.Random(3808)


def write(name, n, time):
    table = [[0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i):
            table[i][j] = table[j][i] = time(j, i)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{n}\n" + "".join(" ".join(map(str, row)) + "\n" for row in table))


write("01-one", 1, None)
write("02-two", 2, lambda i, j: 10**9)
write("03-five", 5, lambda i, j: draw.randint(1, 20))
write("04-six", 6, lambda i, j: draw.randint(1, 9))
write("05-trap", 4, lambda i, j: {(0, 1): 1, (0, 2): 2, (0, 3): 9, (1, 2): 1, (1, 3): 100, (2, 3): 3}[i, j])
places = [(draw.randint(0, 999), draw.randint(0, 999)) for _ in range(13)]
write("06-plane", 9, lambda i, j: 1 + abs(places[i][0] - places[j][0]) + abs(places[i][1] - places[j][1]))
write("07-full", 13, lambda i, j: draw.randint(1, 1000))
write("08-dear", 13, lambda i, j: draw.randint(10**9 - 99, 10**9))
write("09-equal", 13, lambda i, j: 10**9)
write("10-line", 12, lambda i, j: 10 * (j - i))
write("11-two-villages", 12, lambda i, j: draw.randint(1, 9) if (i < 6) == (j < 6) else draw.randint(500, 900))
write("12-random", 13, lambda i, j: draw.randint(1, 10**6))
