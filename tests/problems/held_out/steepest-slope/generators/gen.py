import random
import sys

draw = random.Random(3404)


def write(name, points, shuffle=True):
    if shuffle:
        draw.shuffle(points)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(points)}\n" + "".join("%d %d\n" % p for p in points))


def some(n, wide, high):
    return [(x, draw.randint(-high, high)) for x in draw.sample(range(-wide, wide + 1), n)]


write("01-flat", [(5, 5), (-5, 5)])
write("02-down", [(0, 9), (1, 3), (2, 1)])
write("03-corners", [(-2 * 10**9, -2 * 10**9), (2 * 10**9, 2 * 10**9)])
write("04-cliff", [(0, -2 * 10**9), (1, 2 * 10**9), (7, 3)])
write("05-small", some(8, 9, 9))
write("06-small", some(12, 20, 9))
write("07-gentle", [(1000 * i, 7 * i + i % 3) for i in range(300)])
write("08-close", [(10**9 - i, 999999900 + i * i % 97) for i in range(200)])
write("09-sorted", [(i, i * i % 1009) for i in range(-17500, 17500)], False)
write("10-apart", some(2000, 10**9, 10**9))
write("11-shuffled", [(i, (i * 7919) % 101) for i in range(9000)])
write("12-middle", [(0, 0), (1, 1), (3, 21), (103, 61), (110, 60)])
