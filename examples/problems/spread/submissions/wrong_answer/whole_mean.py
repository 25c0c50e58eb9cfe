# Wrong: rounds the mean down to a whole number.
n = int(input())
numbers = list(map(int, input().split()))
mean = sum(numbers) // n
print(mean, (sum((x - mean) ** 2 for x in numbers) / n) ** 0.5)
