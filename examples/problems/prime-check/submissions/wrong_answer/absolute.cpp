// Wrong: drops the sign, so -7 becomes a prime.
#include <cstdio>
#include <cstdlib>

int main() {
    int t;
    long long x;
    std::scanf("%d", &t);
    while (t-- > 0) {
        std::scanf("%lld", &x);
        x = std::llabs(x);
        bool prime = x > 1;
        for (long long i = 2; prime && i * i <= x; ++i) {
            prime = x % i != 0;
        }
        std::puts(prime ? "yes" : "no");
    }
}
