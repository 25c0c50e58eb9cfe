import random
import sys

draw = random.Random(2407)


def write(name, events):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write("\n".join([str(len(events)), *events]) + "\n")


def mixed(q, add, take, lighter, weight):
    events, shelf, came = [], [], 0
    while len(events) < q - 1:
        kind = draw.choices(("add", "take", "lighter", "heaviest"), (add, take, lighter, 1))[0]
        if kind == "add":
            came += 1
            shelf.append(came)
            events.append(f"add {weight()}")
        elif kind == "heaviest":
            events.append(kind)
        elif shelf:
            k = draw.randrange(len(shelf))
            shelf[k], shelf[-1] = shelf[-1], shelf[k]
            events.append(f"{kind} {shelf.pop() if kind == 'take' else shelf[-1]}")
    return events + ["heaviest"]


write("01-empty", ["heaviest"])
write("02-empty-again", ["add 7", "take 1", "heaviest", "add 7", "heaviest", "lighter 2"])
write("03-equal", ["add 4", "add 4", "lighter 1", "take 1", "heaviest", "lighter 2"])
write("04-small", mixed(40, 4, 3, 3, lambda: draw.randint(1, 5)))
write("05-again", mixed(300, 4, 4, 2, lambda: draw.randint(10**9 - 3, 10**9)))
write("06-many", mixed(9000, 3, 2, 2, lambda: draw.randint(1, 10**9)))
weights = [10000] * 9 + [draw.randint(1, 999) for _ in range(19991)]
write("07-no-take", [f"add {w}" for w in weights] + [f"lighter {draw.randint(1, 9)}" for i in range(20000)])
write("08-full-shelf", [f"add {i % 9 + 1}" for i in range(20000)] + ["heaviest"] * 20000)
write("09-rising", [f"add {i + 1}" if i % 2 == 0 else f"lighter {i // 2 + 1}" for i in range(4000)])
