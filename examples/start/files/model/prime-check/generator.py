import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    numbers = [rng.randint(0, 30) for _ in range(5)]
elif mode == "random":
    numbers = [rng.randint(-1000, 10**6) for _ in range(20)]
elif mode == "boundary":
    numbers = [-(2**31), -7, -1, 0, 1, 2, 3, 4, 2**31 - 1]
else:
    numbers = [2147483647, 2147483629, 2147483587, 2147395600, 2147117569] * 10
print(len(numbers))
print(*numbers, sep="\n")
