#include <cstdio>
#include <queue>
#include <vector>

int main() {
    int n, amount;
    std::scanf("%d %d", &n, &amount);
    std::vector<int> coins(n), steps(amount + 1, -1);
    for (int& coin : coins) std::scanf("%d", &coin);
    std::queue<int> todo;
    todo.push(0);
    steps[0] = 0;
    while (!todo.empty()) {
        int at = todo.front();
        todo.pop();
        for (int coin : coins) {
            int to = at + coin;
            if (to <= amount && steps[to] < 0) {
                steps[to] = steps[at] + 1;
                todo.push(to);
            }
        }
    }
    std::printf("%d\n", steps[amount]);
}
