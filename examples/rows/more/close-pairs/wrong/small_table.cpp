// Wrong: the table ends at 100000, house numbers go on to 500000.
#include <cstdio>
#include <vector>

int main() {
    int n, d, x;
    std::scanf("%d %d", &n, &d);
    std::vector<long long> count(100001);
    for (int i = 0; i < n; ++i) {
        std::scanf("%d", &x);
        ++count.at(x);
    }
    long long pairs = 0, window = 0;
    for (int i = 0; i <= 100000; ++i) {
        pairs += count[i] * window + count[i] * (count[i] - 1) / 2;
        window += count[i];
        if (i >= d) window -= count[i - d];
    }
    std::printf("%lld\n", pairs);
}
