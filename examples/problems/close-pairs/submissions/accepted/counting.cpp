// below[x]: the number of houses with a number below x.
#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
    const int top = 500000;
    int n, d;
    std::scanf("%d %d", &n, &d);
    std::vector<int> numbers(n), below(top + 2);
    for (int& x : numbers) {
        std::scanf("%d", &x);
        ++below[x + 1];
    }
    for (int x = 1; x <= top + 1; ++x) {
        below[x] += below[x - 1];
    }
    // Every pair is met from both sides, and every house meets itself.
    long long met = 0;
    for (const int x : numbers) {
        met += below[std::min(x + d, top) + 1] - below[std::max(x - d, 0)];
    }
    std::printf("%lld\n", (met - n) / 2);
}
