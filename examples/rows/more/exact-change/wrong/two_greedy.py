# Wrong: greedy, but leaves out the largest coin once if that helps.
n, amount = map(int, input().split())
coins = sorted(map(int, input().split()), reverse=True)


def greedy(coins):
    rest, count = amount, 0
    for coin in coins:
        count += rest // coin
        rest %= coin
    return count if rest == 0 else None


found = [c for c in (greedy(coins), greedy(coins[1:])) if c is not None]
print(min(found) if found else -1)
