import random
import sys

draw = random.Random(3707)


def write(name, bookings, minutes, shuffle=True):
    if shuffle:
        draw.shuffle(bookings)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(bookings)} {len(minutes)}\n" + "".join("%d %d\n" % b for b in bookings))
        file.write("".join(f"{x}\n" for x in minutes))


def some(n, low, high):
    ends = sorted(draw.sample(range(low, high + 1), 2 * n))
    return list(zip(ends[::2], ends[1::2]))


def near(bookings):
    return [x + d for b in bookings for x in b for d in (-1, 0, 1) if -10**9 <= x + d <= 10**9]


write("01-all", [(-10**9, 10**9)], [-10**9, 0, 10**9])
write("02-edges", [(1, 2), (3, 4), (5, 6)], [0, 1, 2, 3, 4, 5, 6, 7])
small = some(6, -20, 20)
write("03-small", small, list(range(-22, 23)))
small = some(9, 0, 60)
write("04-small", small, near(small))
write("05-before-and-after", [(5, 6)], [-10**9, 4, 7, 10**9])
many = some(2000, -10**9, 10**9)
write("06-wide", many, near(many))
many = some(6000, -40000, 40000)
write("07-most", many, [draw.randint(-40000, 40000) for _ in range(6000)])
write("08-sorted", [(4 * i, 4 * i + 2) for i in range(15000)], [4 * draw.randrange(14000, 15000) + 2 for _ in range(15000)], False)
write("09-last", [(0, 1), (-10**9, -10**9 + 1)], [-10**9, -10**9 + 1, -10**9 + 2, 0, 1, 2])
write("10-long", [(-10**9, -5), (5, 10**9)], [-6, -5, -4, 4, 5, 6, 10**9] + [10**9 - i for i in range(9)])
