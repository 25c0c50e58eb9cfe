import random
import sys

draw = random.Random(3202)


def write(name, n, edges, shuffle=True):
    label = list(range(1, n + 1))
    if shuffle:
        draw.shuffle(label)
    edges = [tuple(sorted((label[a], label[b]))) for a, b in set(edges)]
    draw.shuffle(edges)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{n} {len(edges)}\n" + "".join("%d %d\n" % e for e in edges))


def some(n, extra):
    edges = {(draw.randrange(v), v) for v in range(1, n)}
    m = min(len(edges) + extra, n * (n - 1) // 2)
    while len(edges) < m:
        edges.add(tuple(sorted(draw.sample(range(n), 2))))
    return edges


ring = lambda first, k: [(first + i, first + i + 1) for i in range(k - 1)] + [(first, first + k - 1)]
write("01-two", 2, [(0, 1)])
write("02-square", 4, ring(0, 4))
write("03-dumb-bell", 7, ring(0, 3) + [(2, 3)] + ring(3, 4))
write("04-one-square-in-common", 5, ring(0, 3) + [(0, 3), (0, 4), (3, 4)])
write("05-two-squares", 9, ring(0, 4) + ring(4, 5) + [(0, 4)])
write("06-small", 9, some(9, 2))
write("07-small", 14, some(14, 3))
write("08-path", 10000, [(v - 1, v) for v in range(1, 10000)])
write("09-ring", 3000, ring(0, 3000))
write("10-chain-of-rings", 9000, [e for i in range(0, 9000, 3) for e in ring(i, 3) + [(i, i + 3)] * (i < 8997)])
write("11-dense", 200, some(200, 15000))
write("12-random", 6000, some(6000, 1500))
write("13-full", 10000, some(10000, 10001))
