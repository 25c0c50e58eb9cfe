# Wrong: divides by every smaller number, which takes minutes for a large prime.
def prime(x):
    i = 2
    while i < x:
        if x % i == 0:
            return False
        i += 1
    return x > 1


for _ in range(int(input())):
    print("yes" if prime(int(input())) else "no")
