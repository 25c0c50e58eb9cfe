# Wrong: turns every letter into a lowercase one.
parts = []
for _ in range(int(input())):
    count, char = input().lower().split()
    parts.append(int(count) * (" " if char == "_" else char))
print("".join(parts))
