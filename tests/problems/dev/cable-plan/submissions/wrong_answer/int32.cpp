#include <bits/stdc++.h>
using namespace std;
int root[20001];
int find(int u) {
    return root[u] == u ? u : root[u] = find(root[u]);
}
int main() {
    int n, m, sum = 0;
    cin >> n >> m;
    vector<array<int, 3>> e(m);
    for (auto& [w, u, v] : e) cin >> u >> v >> w;
    sort(e.begin(), e.end());
    iota(root, root + n + 1, 0);
    for (auto [w, u, v] : e)
        if (find(u) != find(v)) root[find(u)] = find(v), sum += w;
    cout << sum << endl;
}
