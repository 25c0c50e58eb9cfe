parts = []
for _ in range(int(input())):
    count, char = input().split()
    parts.append(int(count) * char.replace("_", " "))
print("".join(parts))
