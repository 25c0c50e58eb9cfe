#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    cin >> n >> m;
    vector<char> can(20000);
    can[0] = 1;
    map<int, int> count;
    while (n--) {
        int w;
        cin >> w;
        count[w]++;
    }
    for (auto [w, k] : count) {
        vector<int> used(20000);
        for (int s = w; s <= m / 2; s++)
            if (!can.at(s) && can[s - w] && used[s - w] < k) can[s] = 1, used[s] = used[s - w] + 1;
    }
    for (int s = m / 2;; s--)
        if (can.at(s)) return printf("%d\n", m - 2 * s), 0;
}
