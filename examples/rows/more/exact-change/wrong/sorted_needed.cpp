// Wrong: stops at the first coin that is larger than the amount; the coins come in any order.
#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
    int n, amount, coin;
    std::scanf("%d %d", &n, &amount);
    std::vector<int> best(amount + 1, 1 << 20);
    best[0] = 0;
    for (int k = 0; k < n; ++k) {
        std::scanf("%d", &coin);
        if (coin > amount) break;
        for (int i = coin; i <= amount; ++i) best[i] = std::min(best[i], best[i - coin] + 1);
    }
    std::printf("%d\n", best[amount] >= 1 << 20 ? -1 : best[amount]);
}
