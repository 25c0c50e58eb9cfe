# Wrong: the pattern knows no minus sign, so a return is not matched.
import re
import sys

values = []
for line in sys.stdin.read().splitlines()[1:]:
    match = re.fullmatch(r"(\d+) (\d+)", line)
    values.append(int(match.group(1)) * int(match.group(2)))
print(sum(values), max(values))
