"""gen.py FOLDER: writes the secret inputs."""
import random
import sys

draw = random.Random(1101)


def write(name, n, parent, weight, shuffle=True):
    label = list(range(1, n + 1))
    if shuffle:
        draw.shuffle(label)
    edges = [(label[v], label[parent(v)], weight(v)) for v in range(1, n)]
    if shuffle:
        draw.shuffle(edges)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write("\n".join([str(n)] + ["%d %d %d" % e for e in edges]) + "\n")


one = lambda v: 1
any_weight = lambda v: draw.randint(1, 10**6)
write("01-one", 1, lambda v: 0, one)
write("02-two", 2, lambda v: 0, any_weight)
write("03-star", 50, lambda v: 0, any_weight)
write("04-small", 9, lambda v: draw.randrange(v), lambda v: draw.randint(1, 9))
write("05-lopsided", 40, lambda v: v - 1 if v < 20 else draw.randrange(18, 20), lambda v: 1000 if v < 10 else 1)
write("06-caterpillar", 2001, lambda v: v - 1 if v < 1000 else draw.randrange(1000), lambda v: draw.randint(1, 9))
write("07-path", 20000, lambda v: v - 1, lambda v: 10**6 - draw.randrange(9))
write("08-broom", 8000, lambda v: v - 1 if v < 4000 else 3999, lambda v: draw.randint(1, 9))
write("09-random", 11000, lambda v: draw.randrange(v), lambda v: draw.randint(1, 99))
write("10-odd", 5, lambda v: [0, 0, 0, 1, 2][v], one, shuffle=False)
