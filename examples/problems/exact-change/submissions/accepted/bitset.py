# Bit i of `paid` tells whether i can be paid with the current number of coins.
n, amount = map(int, input().split())
coins = set(map(int, input().split()))
mask = (2 << amount) - 1
paid, seen, count = 1, 0, 0
while paid and not paid >> amount & 1:
    seen |= paid
    more = 0
    for coin in coins:
        more |= paid << coin
    paid = more & mask & ~seen
    count += 1
print(count if paid else -1)
