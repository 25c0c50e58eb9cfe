import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    n, pieces, top = rng.randint(1, 5), rng.randint(1, 10), 9
elif mode == "random":
    n, pieces, top = rng.randint(10, 100), rng.randint(1, 1000), 10**5
elif mode == "boundary":
    n, pieces, top = rng.choice([(1, 1, 10**9), (2, 10**12, 1), (3, 2, 2), (1, 10**9, 10**9)])
else:
    n, pieces, top = 10000, 10**4, 10**9
print(n, pieces)
print(*(rng.randint(max(1, top // 2), top) for _ in range(n)))
