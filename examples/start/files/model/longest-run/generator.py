import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


letters = "abcz"
if mode == "small":
    word = "".join(rng.choice(letters) for _ in range(rng.randint(1, 8)))
elif mode == "random":
    word = "".join(rng.choice(letters) * rng.randint(1, 5) for _ in range(200))
elif mode == "boundary":
    word = rng.choice(["a", "zz", "ab", "aabb", "bbaa"])
else:
    word = "b" * 50000 + "a" * 50000 if seed % 2 else "x" * 100000
print(word)
