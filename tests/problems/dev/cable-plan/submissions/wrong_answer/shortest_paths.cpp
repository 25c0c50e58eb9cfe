#include <bits/stdc++.h>
using namespace std;
// the tree of shortest paths from house 1
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
    vector<long long> far(n + 1, LLONG_MAX / 2);
    vector<long long> last(n + 1);
    priority_queue<pair<long long, int>, vector<pair<long long, int>>, greater<>> q;
    far[1] = 0;
    q.push({0, 1});
    while (!q.empty()) {
        auto [d, u] = q.top();
        q.pop();
        if (d > far[u]) continue;
        for (auto [w, v] : g[u])
            if (d + w < far[v] || (d + w == far[v] && w < last[v])) far[v] = d + w, last[v] = w, q.push({d + w, v});
    }
    printf("%lld\n", accumulate(last.begin(), last.end(), 0LL));
}
