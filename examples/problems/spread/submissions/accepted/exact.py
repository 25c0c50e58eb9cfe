# The integers are summed exactly: n * sum(x^2) - sum(x)^2 = (n * spread)^2.
from math import sqrt

n = int(input())
numbers = list(map(int, input().split()))
total = sum(numbers)
squares = sum(x * x for x in numbers)
print(total / n, sqrt(n * squares - total * total) / n)
