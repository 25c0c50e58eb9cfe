# The bases 2, 3, 5 and 7 are enough for numbers below 3 * 10^9.
def is_prime(x):
    if x < 11:
        return x in (2, 3, 5, 7)
    if x % 2 == 0:
        return False
    twos = (x - 1 & 1 - x).bit_length() - 1
    for base in (2, 3, 5, 7):
        power = pow(base, x - 1 >> twos, x)
        if power == 1:
            continue
        for _ in range(twos):
            if power == x - 1:
                break
            power = power * power % x
        else:
            return False
    return True


for _ in range(int(input())):
    print("yes" if is_prime(int(input())) else "no")
