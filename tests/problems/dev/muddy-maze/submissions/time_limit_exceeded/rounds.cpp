#include <bits/stdc++.h>
using namespace std;
// minute by minute everything is worked out from the round before: a long corridor takes as many rounds
int main() {
    int r, c;
    cin >> r >> c;
    vector<string> g(r);
    for (auto& row : g) cin >> row;
    vector<vector<int>> far(r, vector<int>(c, 1000000000));
    for (int i = 0; i < r; i++)
        for (int j = 0; j < c; j++)
            if (g[i][j] == 'S') far[i][j] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        auto old = far;
        for (int i = 0; i < r; i++)
            for (int j = 0; j < c; j++) {
                if (g[i][j] == '#') continue;
                for (int k = 0; k < 4; k++) {
                    int a = i + (k == 0) - (k == 1), b = j + (k == 2) - (k == 3);
                    if (a < 0 || b < 0 || a >= r || b >= c) continue;
                    int e = old[a][b] + (g[i][j] == '~' ? 3 : 1);
                    if (e < far[i][j]) far[i][j] = e, changed = true;
                }
            }
    }
    for (int i = 0; i < r; i++)
        for (int j = 0; j < c; j++)
            if (g[i][j] == 'E') printf("%d\n", far[i][j] >= 1000000000 ? -1 : far[i][j]);
}
