// Wrong: the downward loop uses every coin at most once.
#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
    int n, amount, coin;
    std::scanf("%d %d", &n, &amount);
    const int never = 1000000;
    std::vector<int> best(amount + 1, never);
    best[0] = 0;
    while (n-- > 0) {
        std::scanf("%d", &coin);
        for (int i = amount; i >= coin; --i) {
            best[i] = std::min(best[i], best[i - coin] + 1);
        }
    }
    std::printf("%d\n", best[amount] >= never ? -1 : best[amount]);
}
