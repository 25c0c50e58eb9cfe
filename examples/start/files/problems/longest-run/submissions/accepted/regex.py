import re

runs = [match[0] for match in re.finditer(r"(.)\1*", input().strip())]
longest = max(runs, key=len)
print(longest[0], len(longest))
