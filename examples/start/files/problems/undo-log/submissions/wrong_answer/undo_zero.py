# Wrong: for k = 0 the slice [-0:] is the whole list.
import sys

additions = []
output = []
for line in sys.stdin.read().splitlines()[1:]:
    command, argument = line.split()
    if command == "add":
        additions.append(int(argument))
        value = int(argument) + (output[-1] if output else 0)
    else:
        value = (output[-1] if output else 0) - sum(additions[-int(argument):])
        del additions[-int(argument):]
    output.append(value)
print(*output, sep="\n")
