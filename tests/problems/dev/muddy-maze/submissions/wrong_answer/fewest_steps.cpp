#include <bits/stdc++.h>
using namespace std;
// the way with the fewest steps, and what it takes
int main() {
    int r, c;
    cin >> r >> c;
    vector<string> g(r);
    for (auto& row : g) cin >> row;
    vector<vector<int>> far(r, vector<int>(c, -1));
    queue<pair<int, int>> q;
    for (int i = 0; i < r; i++)
        for (int j = 0; j < c; j++)
            if (g[i][j] == 'S') far[i][j] = 0, q.push({i, j});
    while (!q.empty()) {
        auto [i, j] = q.front();
        q.pop();
        if (g[i][j] == 'E') return printf("%d\n", far[i][j]), 0;
        for (auto [a, b] : {pair(i + 1, j), pair(i, j + 1), pair(i - 1, j), pair(i, j - 1)})
            if (a >= 0 && a < r && b >= 0 && b < c && g[a][b] != '#' && far[a][b] < 0) {
                far[a][b] = far[i][j] + (g[a][b] == '~' ? 3 : 1);
                q.push({a, b});
            }
    }
    puts("-1");
}
