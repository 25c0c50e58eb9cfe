#include <bits/stdc++.h>
using namespace std;
int root[20001];
int find(int u) {
    while (root[u] != u) u = root[u] = root[root[u]];
    return u;
}
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<array<int, 3>> e(m);
    for (auto& [w, u, v] : e) scanf("%d %d %d", &u, &v, &w);
    sort(e.begin(), e.end());
    iota(root, root + n + 1, 0);
    long long sum = 0;
    for (auto [w, u, v] : e)
        if (find(u) != find(v)) root[find(u)] = find(v), sum += w;
    printf("%lld\n", sum);
}
