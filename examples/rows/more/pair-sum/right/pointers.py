import sys

n, wanted, *numbers = map(int, sys.stdin.buffer.read().split())
order = sorted(range(n), key=numbers.__getitem__)
low, high = 0, n - 1
while low < high and numbers[order[low]] + numbers[order[high]] != wanted:
    if numbers[order[low]] + numbers[order[high]] < wanted:
        low += 1
    else:
        high -= 1
print(*(order[i] + 1 for i in (low, high)) if low < high else ["none"])
