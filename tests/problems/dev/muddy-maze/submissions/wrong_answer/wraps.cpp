#include <bits/stdc++.h>
using namespace std;
// cells in one row of numbers: the last cell of a row is beside the first of the next
int main() {
    int r, c;
    cin >> r >> c;
    string g, row;
    for (int i = 0; i < r; i++) cin >> row, g += row;
    vector<int> far(r * c, INT_MAX);
    priority_queue<pair<int, int>> q;
    int s = g.find('S');
    far[s] = 0;
    q.push({0, s});
    while (!q.empty()) {
        auto [d, u] = q.top();
        q.pop();
        d = -d;
        if (d > far[u]) continue;
        for (int v : {u + 1, u - 1, u + c, u - c})
            if (v >= 0 && v < r * c && g[v] != '#') {
                int e = d + (g[v] == '~' ? 3 : 1);
                if (e < far[v]) far[v] = e, q.push({-e, v});
            }
    }
    int d = far[g.find('E')];
    printf("%d\n", d == INT_MAX ? -1 : d);
}
