#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<vector<int>> g(n + 1);
    while (m--) {
        int u, v;
        scanf("%d %d", &u, &v);
        g[u].push_back(v);
        g[v].push_back(u);
    }
    vector<int> num(n + 1), low(n + 1), up(n + 1), at(n + 1), stack{1};
    int count = 0, bridges = 0;
    num[1] = low[1] = ++count;
    while (!stack.empty()) {
        int u = stack.back();
        if (at[u] < (int)g[u].size()) {
            int v = g[u][at[u]++];
            if (!num[v]) {
                num[v] = low[v] = ++count;
                up[v] = u;
                stack.push_back(v);
            } else if (v != up[u])
                low[u] = min(low[u], num[v]);
        } else {
            stack.pop_back();
            if (up[u]) {
                low[up[u]] = min(low[up[u]], low[u]);
                bridges += low[u] == num[u];
            }
        }
    }
    printf("%d\n", bridges);
}
