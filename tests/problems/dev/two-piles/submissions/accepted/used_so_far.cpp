#include <bits/stdc++.h>
using namespace std;
// for each weight: how many of it are needed at least to reach a sum
int main() {
    int n, m;
    cin >> n >> m;
    map<int, int> count;
    while (n--) {
        int w;
        cin >> w;
        count[w]++;
    }
    vector<char> can(m + 1);
    can[0] = 1;
    vector<int> used(m + 1);
    for (auto [w, k] : count) {
        fill(used.begin(), used.end(), 0);
        for (int s = w; s <= m; s++)
            if (!can[s] && can[s - w] && used[s - w] < k) can[s] = 1, used[s] = used[s - w] + 1;
    }
    for (int s = m / 2;; s--)
        if (can[s]) return printf("%d\n", m - 2 * s), 0;
}
