#include <bits/stdc++.h>
using namespace std;
// tries every way, and remembers only the best so far
int r, c, best = INT_MAX;
vector<string> g;
void go(int i, int j, int d) {
    if (i < 0 || j < 0 || i >= r || j >= c || g[i][j] == '#' || d > best) return;
    if (g[i][j] == 'E') {
        best = min(best, d);
        return;
    }
    char cell = g[i][j];
    g[i][j] = '#';
    for (auto [a, b] : {pair(i + 1, j), pair(i, j + 1), pair(i - 1, j), pair(i, j - 1)})
        if (a >= 0 && a < r && b >= 0 && b < c) go(a, b, d + (g[a][b] == '~' ? 3 : 1));
    g[i][j] = cell;
}
int main() {
    cin >> r >> c;
    g.resize(r);
    for (auto& row : g) cin >> row;
    for (int i = 0; i < r; i++) {
        size_t j = g[i].find('S');
        if (j != string::npos) {
            go(i, j, 0);
            break;
        }
    }
    printf("%d\n", best == INT_MAX ? -1 : best);
}
