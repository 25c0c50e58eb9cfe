#include <bits/stdc++.h>
using namespace std;
// <= where < belongs: counts ways into parts that hang on one square
vector<vector<int>> g;
vector<int> num, low;
int counter = 0, bridges = 0;
void go(int u, int up) {
    num[u] = low[u] = ++counter;
    for (int v : g[u]) {
        if (v == up) continue;
        if (num[v])
            low[u] = min(low[u], num[v]);
        else {
            go(v, u);
            low[u] = min(low[u], low[v]);
            if (num[u] <= low[v] && (up || g[v].size() < 2)) bridges++;
        }
    }
}
int main() {
    int n, m;
    cin >> n >> m;
    g.resize(n + 1), num.resize(n + 1), low.resize(n + 1);
    while (m--) {
        int u, v;
        cin >> u >> v;
        g[u].push_back(v);
        g[v].push_back(u);
    }
    int start = 1;
    for (int u = 1; u <= n; u++)
        if (g[u].size() > g[start].size()) start = u;
    go(start, 0);
    cout << bridges << endl;
}
