# Wrong: strips the line, so blanks at its start and end are lost.
text = ""
for _ in range(int(input())):
    count, char = input().split()
    text += int(count) * char
print(text.replace("_", " ").strip())
