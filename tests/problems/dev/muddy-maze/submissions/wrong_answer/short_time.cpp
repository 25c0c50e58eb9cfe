#include <bits/stdc++.h>
using namespace std;
// minutes in 16 bits
int main() {
    int r, c;
    cin >> r >> c;
    vector<string> g(r);
    for (auto& row : g) cin >> row;
    vector<vector<short>> far(r, vector<short>(c, 32767));
    priority_queue<tuple<int, int, int>> q;
    for (int i = 0; i < r; i++)
        for (int j = 0; j < c; j++)
            if (g[i][j] == 'S') far[i][j] = 0, q.push({0, i, j});
    while (!q.empty()) {
        auto [d, i, j] = q.top();
        q.pop();
        d = -d;
        if (d > far[i][j]) continue;
        if (g[i][j] == 'E') return printf("%d\n", d), 0;
        for (auto [a, b] : {pair(i + 1, j), pair(i - 1, j), pair(i, j + 1), pair(i, j - 1)})
            if (a >= 0 && a < r && b >= 0 && b < c && g[a][b] != '#') {
                int e = d + (g[a][b] == '~' ? 3 : 1);
                if (e < far[a][b]) far[a][b] = e, q.push({-e, a, b});
            }
    }
    puts("-1");
}
