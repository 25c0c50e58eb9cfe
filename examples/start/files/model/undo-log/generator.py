import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    n, top, far = rng.randint(1, 8), 9, 3
elif mode == "random":
    n, top, far = 100, 1000, 10
elif mode == "boundary":
    n, top, far = 8, 10**9, 20000
else:
    n, top, far = 20000, 10**9, 0
rows = []
for i in range(n):
    if mode == "worst":
        rows.append(f"add {top}" if i < n - 2 else "undo 15000")
    elif rng.random() < 0.6:
        rows.append(f"add {rng.randint(-top, top)}")
    else:
        rows.append(f"undo {rng.randint(0, far)}")
print(n)
print(*rows, sep="\n")
