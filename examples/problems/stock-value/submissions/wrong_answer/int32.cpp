// Wrong: keeps the values in 32 bits.
#include <algorithm>
#include <climits>
#include <cstdio>

int main() {
    int n, total = 0, best = INT_MIN;
    long long p, q;
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%lld %lld", &p, &q);
        const int value = static_cast<int>(p * q);
        total = static_cast<int>(static_cast<long long>(total) + value);
        best = std::max(best, value);
    }
    std::printf("%d %d\n", total, best);
}
