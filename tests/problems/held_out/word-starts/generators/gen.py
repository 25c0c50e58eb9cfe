import random
import sys

draw = random.Random(3909)


def write(name, words, shuffle=True):
    words = list(dict.fromkeys(words))
    if shuffle:
        draw.shuffle(words)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(words)}\n" + "".join(word + "\n" for word in words))


def some(n, letters, long):
    return ["".join(draw.choices(letters, k=draw.randint(1, long))) for _ in range(n)]


write("01-one", ["z"])
write("02-chain", ["ab", "abc", "abcd", "a", "abd", "abcde"])
write("03-inside", ["abc", "b", "bc", "c", "xabc", "cab"])
write("04-small", some(12, "ab", 4))
write("05-stairs", ["a" * i for i in range(1, 441)])
write("06-binary", some(9000, "ab", 13))
write("07-many", some(10000, "abcdefghijklmnopqrstuvwxyz", 6))
write("08-letters", some(700, "xyz", 5))
write("09-long", ["q" * 99000, "q" * 50, "q" * 49 + "r", "qq", "r"])
write("10-two-long", ["m" * 30000 + "a", "m" * 30000, "m" * 29999 + "z"])
write("11-none", ["%s%s%s" % (a, b, c) for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrstuvw" for c in "stuvwxyz"])
