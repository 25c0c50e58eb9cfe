import random
import sys

draw = random.Random(2306)


def write(name, weights):
    total = sum(weights)
    parts = [max(1, w * 10**6 // total) for w in weights]
    parts[parts.index(max(parts))] += 10**6 - sum(parts)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(parts)}\n{' '.join('%d.%06d' % divmod(p, 10**6) for p in parts)}\n")


write("01-two", [1, 2])
write("02-heavy-end", [40, 25, 20, 15])
write("03-order", [10, 1, 10, 1, 10, 1])
write("04-small", [draw.randint(1, 99) for _ in range(9)])
write("05-halves", [2**k for k in range(18)])
write("06-twenty", [draw.randint(1, 9) for _ in range(22)])
write("07-rare", [999000] + [1] * 30 + [500] * 2)
write("08-middle", [draw.randint(1, 999) for _ in range(700)])
write("09-thousand", [draw.randint(1, 9) ** 5 for _ in range(1500)])
write("10-most", [draw.randint(1, 99) for _ in range(2000)])
write("11-equal", [1] * 2000)
write("12-rising", list(range(1, 1996)))
