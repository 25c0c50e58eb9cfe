#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<vector<pair<int, int>>> g(n + 1);
    for (int i = 0; i < m; i++) {
        int u, v;
        scanf("%d %d", &u, &v);
        g[u].push_back({v, i});
        g[v].push_back({u, i});
    }
    int count = 0;
    for (int closed = 0; closed < m; closed++) {
        vector<char> seen(n + 1);
        vector<int> stack{1};
        seen[1] = 1;
        int reached = 0;
        while (!stack.empty()) {
            int u = stack.back();
            stack.pop_back();
            reached++;
            for (auto [v, i] : g[u])
                if (i != closed && !seen[v]) seen[v] = 1, stack.push_back(v);
        }
        count += reached < n;
    }
    printf("%d\n", count);
}
