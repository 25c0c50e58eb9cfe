// Wrong: the sum of two entries wraps around in 32 bits.
#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

int main() {
    int n, x;
    long long wanted;
    std::scanf("%d %lld", &n, &wanted);
    std::vector<std::pair<int, int>> entries;
    for (int i = 1; i <= n; ++i) {
        std::scanf("%d", &x);
        entries.emplace_back(x, i);
    }
    std::sort(entries.begin(), entries.end());
    int low = 0, high = n - 1;
    while (low < high) {
        const int sum = static_cast<int>(
            static_cast<long long>(entries[low].first) + entries[high].first);
        if (sum == wanted) {
            std::printf("%d %d\n", entries[low].second, entries[high].second);
            return 0;
        }
        if (sum < wanted) {
            ++low;
        } else {
            --high;
        }
    }
    std::puts("none");
}
