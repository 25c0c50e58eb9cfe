"""As many rounds over all rules as the longest way has courses."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
rules = list(zip(numbers[::2], numbers[1::2]))
now = {1: 1}
total = 0
while now:
    new = {}
    for a, b in rules:
        if a in now:
            new[b] = (new.get(b, 0) + now[a]) % (10**9 + 7)
    total += new.get(n, 0)
    now = new
print(total % (10**9 + 7))
