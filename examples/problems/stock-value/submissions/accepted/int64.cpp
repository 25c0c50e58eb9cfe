#include <algorithm>
#include <climits>
#include <cstdio>

int main() {
    int n;
    long long p, q, total = 0, best = LLONG_MIN;
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%lld %lld", &p, &q);
        total += p * q;
        best = std::max(best, p * q);
    }
    std::printf("%lld %lld\n", total, best);
}
