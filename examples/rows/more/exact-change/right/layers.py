n, amount = map(int, input().split())
coins = sorted(set(map(int, input().split())))
best = [0] + [None] * amount
layer, count = {0}, 0
while layer and best[amount] is None:
    count += 1
    layer = {t + c for t in layer for c in coins if t + c <= amount and best[t + c] is None}
    for total in layer:
        best[total] = count
print(-1 if best[amount] is None else best[amount])
