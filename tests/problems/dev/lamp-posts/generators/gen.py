import random
import sys

draw = random.Random(2609)


def write(name, k, places):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(places)} {k}\n{' '.join(map(str, places))}\n")


def some(n, high):
    return sorted(draw.sample(range(high + 1), n))


write("01-two", 2, [0, 10**12])
write("02-all", 5, [0, 1, 2, 3, 5])
write("03-even", 4, [0, 7, 14, 21])
write("04-even-more", 5, list(range(100, 500, 25)))
write("05-clusters", 3, [1, 2, 3, 1000, 1001, 1002, 2000, 2001])
write("06-small", 4, some(9, 40))
write("07-small", 6, some(15, 99))
write("08-far", 3, some(400, 10**12))
write("09-most", 150, some(20000, 10**6))
write("10-most", 10000, list(range(5, 20005)))
write("11-wide", 7, [x * 10**9 + draw.randrange(10**6) for x in some(900, 999)])
write("12-late", 2, [0] + list(range(10**12 - 1500, 10**12 + 1)))
