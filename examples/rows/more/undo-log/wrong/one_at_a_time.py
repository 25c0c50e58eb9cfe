# Wrong: takes back one addition, whatever k is.
import sys

stack, output = [0], []
for line in sys.stdin.read().splitlines()[1:]:
    command, argument = line.split()
    if command == "add":
        stack.append(stack[-1] + int(argument))
    elif len(stack) > 1 and argument != "0":
        stack.pop()
    output.append(stack[-1])
print(*output, sep="\n")
