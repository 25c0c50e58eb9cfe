# Wrong: counts positions from 0.
import sys

n, wanted, *numbers = map(int, sys.stdin.buffer.read().split())
position = {}
for i, x in enumerate(numbers):
    if wanted - x in position:
        print(position[wanted - x], i)
        break
    position[x] = i
else:
    print("none")
