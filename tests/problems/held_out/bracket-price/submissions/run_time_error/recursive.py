text = input()
at = 0


def price():
    global at
    total = 0
    while at < len(text) and text[at] in "([":
        kind = text[at]
        at += 1
        a = price()
        at += 1
        total = (total + (2 * a if kind == "(" else a * a) + 1) % (10**9 + 7)
    return total


print(price())
