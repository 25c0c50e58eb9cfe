import sys
from operator import mul

numbers = list(map(int, sys.stdin.buffer.read().split()))
values = list(map(mul, numbers[1::2], numbers[2::2]))
print(sum(values), max(values))
