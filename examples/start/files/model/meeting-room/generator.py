import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    n, top, longest = rng.randint(1, 6), 10, 4
elif mode == "random":
    n, top, longest = rng.randint(20, 60), 200, 40
elif mode == "boundary":
    n, top, longest = rng.randint(2, 6), 10**9, 10**9
else:
    n, top, longest = 20000, 10**9, 10**4
print(n)
for _ in range(n):
    start = rng.randint(0, top - 1)
    print(start, rng.randint(start + 1, min(top, start + longest)))
