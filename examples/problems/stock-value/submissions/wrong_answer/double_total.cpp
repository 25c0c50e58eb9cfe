// Wrong: a double holds the total exactly only up to 2^53.
#include <algorithm>
#include <cstdio>

int main() {
    int n;
    double p, q, total = 0, best = -1e18;
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%lf %lf", &p, &q);
        total += p * q;
        best = std::max(best, p * q);
    }
    std::printf("%.0f %.0f\n", total, best);
}
