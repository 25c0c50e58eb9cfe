// Wrong: stops before the square root, so the square of a prime becomes one.
#include <cstdio>

int main() {
    int t;
    long long x;
    std::scanf("%d", &t);
    while (t-- > 0) {
        std::scanf("%lld", &x);
        bool prime = x > 1;
        for (long long i = 2; prime && i * i < x; ++i) {
            prime = x % i != 0;
        }
        std::puts(prime ? "yes" : "no");
    }
}
