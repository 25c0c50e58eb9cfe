# Wrong: remembers the last 1000 additions only.
import sys
from collections import deque

additions = deque(maxlen=1000)
value = 0
output = []
for line in sys.stdin.read().splitlines()[1:]:
    command, argument = line.split()
    if command == "add":
        additions.append(int(argument))
        value += int(argument)
    else:
        for _ in range(min(int(argument), len(additions))):
            value -= additions.pop()
    output.append(value)
print(*output, sep="\n")
