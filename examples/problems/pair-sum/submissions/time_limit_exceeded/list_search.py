# Wrong: searches the list for every entry, which is quadratic.
import sys

n, wanted, *numbers = map(int, sys.stdin.buffer.read().split())
for i, x in enumerate(numbers):
    if wanted - x in numbers[:i]:
        print(numbers.index(wanted - x) + 1, i + 1)
        break
else:
    print("none")
