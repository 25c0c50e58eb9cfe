#include <bits/stdc++.h>
using namespace std;
// a street is an only way if its ends have no common neighbour, and no way of three streets joins them
int main() {
    int n, m;
    cin >> n >> m;
    vector<set<int>> g(n + 1);
    vector<pair<int, int>> e(m);
    for (auto& [u, v] : e) {
        cin >> u >> v;
        g[u].insert(v);
        g[v].insert(u);
    }
    int count = 0;
    for (auto [u, v] : e) {
        bool other = false;
        for (int a : g[u]) {
            if (a == v) continue;
            for (int b : g[a])
                if (b != u && (b == v || g[b].count(v))) other = true;
            if (other) break;
        }
        count += !other;
    }
    cout << count << endl;
}
