import random
import sys

draw = random.Random(1202)


def write(name, n, edges):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write("\n".join([f"{n} {len(edges)}"] + ["%d %d %d" % e for e in edges]) + "\n")


def graph(n, m, weight, parent=None):
    label = list(range(1, n + 1))
    draw.shuffle(label)
    pairs = {tuple(sorted((v, (parent or draw.randrange)(v)))) for v in range(1, n)}
    m = min(m, n * (n - 1) // 2)
    while len(pairs) < m:
        a, b = sorted(draw.sample(range(n), 2))
        pairs.add((a, b))
    pairs = sorted(pairs)
    draw.shuffle(pairs)
    return [(label[a], label[b], weight()) for a, b in pairs]


write("01-one", 1, [])
write("02-triangle", 3, [(1, 2, 5), (2, 3, 5), (1, 3, 5)])
write("03-wheel", 9, [(1, v, 10) for v in range(2, 10)] + [(v, v % 9 + 1 + (v == 9), 9) for v in range(2, 10)])
write("04-small", 12, graph(12, 20, lambda: draw.randint(1, 20)))
write("05-complete", 40, graph(40, 780, lambda: draw.randint(1, 10**9)))
write("06-dear", 500, graph(500, 900, lambda: draw.randint(9 * 10**8, 10**9)))
write("07-path", 6000, graph(6000, 5999, lambda: draw.randint(1, 99), lambda v: v - 1))
write("08-star", 20000, [(1, v, 1 + v // 9000) for v in range(2, 20001)])
write("09-full", 5001, graph(5001, 12000, lambda: draw.randint(1, 999)))
write("10-two-crowds", 60, [(a, b, 1) for a in range(1, 31) for b in range(1, a)]
      + [(a, b, 2) for a in range(31, 61) for b in range(31, a)] + [(7, 44, 10**9)])
