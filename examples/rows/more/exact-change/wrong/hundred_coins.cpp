// Wrong: believes that 100 coins are always enough.
#include <bitset>
#include <cstdio>
#include <vector>

int main() {
    int n, amount;
    std::scanf("%d %d", &n, &amount);
    std::vector<int> coins(n);
    for (int& coin : coins) std::scanf("%d", &coin);
    std::bitset<10001> paid;
    paid[0] = true;
    for (int count = 0; count <= 100; ++count) {
        if (paid[amount]) {
            std::printf("%d\n", count);
            return 0;
        }
        std::bitset<10001> more;
        for (int coin : coins) more |= paid << coin;
        paid = more;
    }
    std::puts("-1");
}
