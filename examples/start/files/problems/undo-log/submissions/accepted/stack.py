import sys

lines = sys.stdin.buffer.read().split()
stack, value, output = [], 0, []
for command, argument in zip(lines[1::2], lines[2::2]):
    if command == b"add":
        stack.append(int(argument))
        value += stack[-1]
    else:
        for _ in range(min(int(argument), len(stack))):
            value -= stack.pop()
    output.append(value)
print("\n".join(map(str, output)))
