# Wrong: always pays the largest coin that fits.
n, amount = map(int, input().split())
count = 0
for coin in sorted(map(int, input().split()), reverse=True):
    count += amount // coin
    amount %= coin
print(count if amount == 0 else -1)
