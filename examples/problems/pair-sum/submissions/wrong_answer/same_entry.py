# Wrong: may pair an entry with itself.
import sys

n, wanted, *numbers = map(int, sys.stdin.buffer.read().split())
position = {x: i for i, x in enumerate(numbers, 1)}
for i, x in enumerate(numbers, 1):
    if wanted - x in position:
        print(i, position[wanted - x])
        break
else:
    print("none")
