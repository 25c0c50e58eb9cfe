// Wrong: skips entries that are half of the sum, though there may be two of them.
#include <cstdio>
#include <map>

int main() {
    int n;
    long long wanted, x;
    std::scanf("%d %lld", &n, &wanted);
    std::map<long long, int> seen;
    for (int i = 1; i <= n; ++i) {
        std::scanf("%lld", &x);
        if (2 * x == wanted) continue;
        auto found = seen.find(wanted - x);
        if (found != seen.end()) {
            std::printf("%d %d\n", found->second, i);
            return 0;
        }
        seen[x] = i;
    }
    std::puts("none");
}
