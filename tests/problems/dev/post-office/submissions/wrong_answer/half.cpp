#include <bits/stdc++.h>
using namespace std;
// walks to the child that has half of the villages, rounded down
vector<vector<pair<int, int>>> g;
int main() {
    int n;
    scanf("%d", &n);
    g.resize(n + 1);
    for (int i = 1; i < n; i++) {
        int u, v, w;
        scanf("%d %d %d", &u, &v, &w);
        g[u].push_back({v, w});
        g[v].push_back({u, w});
    }
    auto walk = [&](int s, vector<int>& order, vector<int>& up, vector<long long>& far) {
        order = {s}, up.assign(n + 1, 0), far.assign(n + 1, 0);
        for (int i = 0; i < (int)order.size(); i++)
            for (auto [v, w] : g[order[i]])
                if (v != up[order[i]]) up[v] = order[i], far[v] = far[order[i]] + w, order.push_back(v);
    };
    vector<int> order, up, size(n + 1, 1);
    vector<long long> far;
    walk(1, order, up, far);
    for (int i = n - 1; i > 0; i--) size[up[order[i]]] += size[order[i]];
    int at = 1;
    for (bool moved = true; moved;) {
        moved = false;
        for (auto [v, w] : g[at])
            if (v != up[at] && size[v] >= n / 2) {
                at = v, moved = true;
                break;
            }
    }
    walk(at, order, up, far);
    printf("%d %lld\n", at, accumulate(far.begin(), far.end(), 0LL));
}
