# Wrong: copies the history at every command and sums it anew, which is quadratic.
import sys

history, output = (), []
for line in sys.stdin.read().splitlines()[1:]:
    command, argument = line.split()
    if command == "add":
        history = history + (int(argument),)
    else:
        history = history[: max(0, len(history) - int(argument))]
    output.append(sum(history))
print(*output, sep="\n")
