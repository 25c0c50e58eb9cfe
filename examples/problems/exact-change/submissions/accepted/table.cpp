#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
    int n, amount, coin;
    std::scanf("%d %d", &n, &amount);
    const int never = amount + 1;
    std::vector<int> best(amount + 1, never);
    best[0] = 0;
    while (n-- > 0) {
        std::scanf("%d", &coin);
        for (int i = coin; i <= amount; ++i) {
            best[i] = std::min(best[i], best[i - coin] + 1);
        }
    }
    std::printf("%d\n", best[amount] == never ? -1 : best[amount]);
}
