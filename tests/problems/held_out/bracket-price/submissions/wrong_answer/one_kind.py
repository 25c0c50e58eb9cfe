"""Pairs are told apart by what opens last, but squares are worth what they hold doubled when they hold one thing."""
text = input()
price, things = [0], [0]
for c in text:
    if c in "([":
        price.append(0)
        things.append(0)
    else:
        a, k = price.pop(), things.pop()
        things[-1] += 1
        worth = a * a + 1 if c == "]" and k > 1 else 2 * a + 1
        if c == "]" and k == 1 and a > 3:
            worth = a * a
        if c == "]" and k == 1 and a in (1, 2, 3):
            worth = a * a + 1
        price[-1] = (price[-1] + worth) % (10**9 + 7)
print(price[0])
