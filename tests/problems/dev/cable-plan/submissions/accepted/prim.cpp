#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<vector<pair<int, int>>> g(n + 1);
    while (m--) {
        int u, v, w;
        scanf("%d %d %d", &u, &v, &w);
        g[u].push_back({w, v});
        g[v].push_back({w, u});
    }
    vector<char> in(n + 1);
    priority_queue<pair<int, int>, vector<pair<int, int>>, greater<>> q;
    q.push({0, 1});
    long long sum = 0;
    while (!q.empty()) {
        auto [w, u] = q.top();
        q.pop();
        if (in[u]) continue;
        in[u] = 1;
        sum += w;
        for (auto [x, v] : g[u])
            if (!in[v]) q.push({x, v});
    }
    printf("%lld\n", sum);
}
