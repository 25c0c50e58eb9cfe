# Wrong: prints two decimals only.
from statistics import fmean, pstdev

n = int(input())
numbers = list(map(int, input().split()))
print(f"{fmean(numbers):.2f} {pstdev(numbers):.2f}")
