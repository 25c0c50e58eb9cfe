"""One sum for each depth."""
text = input()
price = [0] * (len(text) + 2)
depth = 0
for c in text:
    if c in "([":
        depth += 1
        price[depth] = 0
    else:
        a = price[depth]
        depth -= 1
        price[depth] = (price[depth] + (2 * a if c == ")" else a * a) + 1) % (10**9 + 7)
print(price[0])
