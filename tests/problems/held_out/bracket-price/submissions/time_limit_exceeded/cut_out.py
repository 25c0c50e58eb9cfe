"""Cuts the text at its first innermost pair, again and again."""
import re

text = input()
values = []
pattern = re.compile(r"[(\[][0-9+]*[)\]]")
while True:
    found = pattern.search(text)
    if not found:
        break
    inside = found[0][1:-1]
    a = sum(map(int, inside.split("+")[:-1])) if inside else 0
    worth = (2 * a if found[0][0] == "(" else a * a) + 1
    text = text[:found.start()] + str(worth % (10**9 + 7)) + "+" + text[found.end():]
print(sum(map(int, text.split("+")[:-1])) % (10**9 + 7))
