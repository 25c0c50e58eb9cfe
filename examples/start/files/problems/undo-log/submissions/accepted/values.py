# Remembers the value before each addition still standing.
import sys

values = [0]
output = []
for line in sys.stdin.read().splitlines()[1:]:
    command, argument = line.split()
    if command == "add":
        values.append(values[-1] + int(argument))
    else:
        del values[max(1, len(values) - int(argument)):]
    output.append(values[-1])
print(*output, sep="\n")
