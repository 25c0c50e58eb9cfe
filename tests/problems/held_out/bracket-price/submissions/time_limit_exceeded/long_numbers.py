"""Numbers have no end in Python, so the remainder can wait."""
text = input()
price = [0]
for c in text:
    if c in "([":
        price.append(0)
    else:
        a = price.pop()
        price[-1] += 2 * a + 1 if c == ")" else a * a + 1
print(price[0] % (10**9 + 7))
