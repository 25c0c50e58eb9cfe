#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<vector<pair<int, int>>> g(10001);
    for (int i = 1; i < n; i++) {
        int u, v, w;
        cin >> u >> v >> w;
        g.at(u).push_back({v, w});
        g.at(v).push_back({u, w});
    }
    vector<int> order{1}, up(10001), len(10001), size(10001, 1);
    for (int i = 0; i < (int)order.size(); i++)
        for (auto [v, w] : g[order[i]])
            if (v != up[order[i]]) up[v] = order[i], len[v] = w, order.push_back(v);
    vector<long long> sum(10001);
    for (int i = n - 1; i > 0; i--) {
        int v = order[i];
        size[up[v]] += size[v];
        sum[1] += 1LL * size[v] * len[v];
    }
    int best = 1;
    for (int i = 1; i < n; i++) {
        int v = order[i];
        sum[v] = sum[up[v]] + 1LL * (n - 2 * size[v]) * len[v];
        if (sum[v] < sum[best]) best = v;
    }
    cout << best << " " << sum[best] << endl;
}
