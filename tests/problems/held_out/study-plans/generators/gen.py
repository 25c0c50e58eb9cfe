import random
import sys

draw = random.Random(3303)


def write(name, n, rules, keep=False):
    """Rules are pairs a < b by rank; ranks are shuffled, the first and the last stay 1 and n."""
    inner = list(range(2, n))
    if not keep:
        draw.shuffle(inner)
    label = [1, *inner, n]
    rules = [(label[a], label[b]) for a, b in set(rules)]
    draw.shuffle(rules)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{n} {len(rules)}\n" + "".join("%d %d\n" % r for r in rules))


def some(n, m, near=10**9):
    rules = set()
    while len(rules) < m:
        a = draw.randrange(n - 1)
        rules.add((a, draw.randint(a + 1, min(n - 1, a + near))))
    return rules


write("01-none", 2, [])
write("02-one", 2, [(0, 1)])
write("03-against-the-numbers", 5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 2)])
write("05-small", 8, some(8, 14))
write("06-diamonds", 301, [e for i in range(0, 300, 3) for e in ((i, i + 1), (i, i + 2), (i + 1, i + 3), (i + 2, i + 3))])
write("07-dense", 140, [(a, b) for a in range(140) for b in range(a + 1, 140)])
write("08-near", 5000, some(5000, 9990, 3))
write("09-path", 5000, [(i, i + 1) for i in range(4999)])
write("10-random", 3000, some(3000, 10000))
write("11-layers", 2002, [(0, i) for i in range(1, 6)] + [(i, 5 * ((i - 1) // 5 + 1) + j) for i in range(1, 1996)
                                                        for j in range(1, 6)] + [(i, 2001) for i in range(1996, 2001)])
# Courses that nobody reaches from course 1 lead into the way, and beyond course n it goes on.
with open(f"{sys.argv[1]}/04-from-elsewhere.in", "w") as file:
    file.write("7 7\n4 2\n1 2\n2 7\n7 3\n5 7\n1 7\n6 4\n")
