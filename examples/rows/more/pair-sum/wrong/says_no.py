# Wrong: says no where it should say none.
import sys

n, wanted, *numbers = map(int, sys.stdin.buffer.read().split())
position = {}
for i, x in enumerate(numbers, 1):
    if wanted - x in position:
        print(position[wanted - x], i)
        break
    position[x] = i
else:
    print("no")
