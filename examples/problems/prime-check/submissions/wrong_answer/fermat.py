# Wrong: tests with base 2 only and believes pseudoprimes such as 341.
for _ in range(int(input())):
    x = int(input())
    prime = x == 2 or (x > 2 and pow(2, x - 1, x) == 1)
    print("yes" if prime else "no")
