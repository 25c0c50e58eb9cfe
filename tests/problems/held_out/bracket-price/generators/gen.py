import random
import sys

draw = random.Random(3505)


def write(name, text):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(text + "\n")


def some(pairs, deep):
    text, open_ones = [], []
    while pairs or open_ones:
        if pairs and (not open_ones or draw.random() < deep):
            kind = draw.choice(("()", "[]"))
            text.append(kind[0])
            open_ones.append(kind[1])
            pairs -= 1
        else:
            text.append(open_ones.pop())
    return "".join(text)


def nest(opening):
    return opening + "".join({"(": ")", "[": "]"}[c] for c in reversed(opening))


write("01-pair", "[]")
write("02-row", "()" * 40 + "[]" * 50)
write("03-small", some(7, 0.6))
write("04-small", some(12, 0.5))
write("05-squares", "[" * 5 + "()()" + "]" * 5)
write("06-doubling", nest("(" * 40))
write("07-many-squares", "[" * 60 + "(())()" + "]" * 60)
write("08-deep", nest("(" * 50000))
write("09-deep-mixed", nest("".join(draw.choices("([", k=1500))))
write("10-random", some(50000, 0.5))
write("11-flat", "[()]" * 25000)
write("12-comb", "(" * 20000 + "()" * 9999 + ")()" * 20000)
