#include <cstdio>

static bool is_prime(long long x) {
    for (long long i = 2; i * i <= x; ++i) {
        if (x % i == 0) {
            return false;
        }
    }
    return x > 1;
}

int main() {
    int t;
    long long x;
    std::scanf("%d", &t);
    while (t-- > 0) {
        std::scanf("%lld", &x);
        std::puts(is_prime(x) ? "yes" : "no");
    }
}
