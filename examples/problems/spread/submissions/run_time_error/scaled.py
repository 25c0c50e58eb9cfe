# Wrong: divides by the mean to keep the squares small; the mean may be 0.
n = int(input())
numbers = list(map(int, input().split()))
mean = sum(numbers) / n
squares = sum(((x - mean) / mean) ** 2 for x in numbers)
print(mean, abs(mean) * (squares / n) ** 0.5)
