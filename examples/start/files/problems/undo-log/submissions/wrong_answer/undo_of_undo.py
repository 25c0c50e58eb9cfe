# Wrong: an undo is remembered as a change, so a later undo takes it back.
import sys

values = [0]
output = []
for line in sys.stdin.read().splitlines()[1:]:
    command, argument = line.split()
    if command == "add":
        values.append(values[-1] + int(argument))
    else:
        values.append(values[max(0, len(values) - 1 - int(argument))])
    output.append(values[-1])
print(*output, sep="\n")
