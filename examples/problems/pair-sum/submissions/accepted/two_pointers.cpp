#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

int main() {
    int n;
    long long wanted, x;
    std::scanf("%d %lld", &n, &wanted);
    std::vector<std::pair<long long, int>> entries;
    for (int i = 1; i <= n; ++i) {
        std::scanf("%lld", &x);
        entries.emplace_back(x, i);
    }
    std::sort(entries.begin(), entries.end());
    int low = 0, high = n - 1;
    while (low < high) {
        const long long sum = entries[low].first + entries[high].first;
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
