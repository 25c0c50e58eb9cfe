# Wrong: the largest value starts at 0, though all values may be negative.
import sys

numbers = list(map(int, sys.stdin.buffer.read().split()))
total = best = 0
for price, quantity in zip(numbers[1::2], numbers[2::2]):
    total += price * quantity
    best = max(best, price * quantity)
print(total, best)
