# Wrong: looks for the amount only after adding a coin, so 0 is missed.
n, amount = map(int, input().split())
coins = set(map(int, input().split()))
seen, layer, count, answer = {0}, [0], 0, -1
while layer and answer < 0:
    count += 1
    sums = {total + coin for total in layer for coin in coins}
    layer = [total for total in sums if total <= amount and total not in seen]
    seen.update(layer)
    if amount in layer:
        answer = count
print(answer)
