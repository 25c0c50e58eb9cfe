#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    scanf("%d", &n);
    vector<vector<pair<int, int>>> g(n + 1);
    for (int i = 1; i < n; i++) {
        int u, v, w;
        scanf("%d %d %d", &u, &v, &w);
        g[u].push_back({v, w});
        g[v].push_back({u, w});
    }
    long long best = LLONG_MAX;
    int home = 0;
    for (int s = 1; s <= n; s++) {
        vector<long long> far(n + 1, -1);
        queue<int> q;
        q.push(s);
        far[s] = 0;
        long long sum = 0;
        while (!q.empty()) {
            int u = q.front();
            q.pop();
            sum += far[u];
            for (auto [v, w] : g[u])
                if (far[v] < 0) far[v] = far[u] + w, q.push(v);
        }
        if (sum < best) best = sum, home = s;
    }
    printf("%d %lld\n", home, best);
}
