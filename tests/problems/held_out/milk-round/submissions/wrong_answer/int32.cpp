#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<vector<int>> d(n, vector<int>(n));
    for (auto& row : d)
        for (auto& x : row) cin >> x;
    if (n == 1) return puts("0"), 0;
    vector<vector<int>> best(1 << n, vector<int>(n, INT_MAX));
    best[1][0] = 0;
    for (int s = 1; s < 1 << n; s += 2)
        for (int i = 0; i < n; i++)
            for (int j = 1; j < n; j++)
                if (!(s >> j & 1) && best[s][i] != INT_MAX)
                    best[s | 1 << j][j] = min(best[s | 1 << j][j], best[s][i] + d[i][j]);
    int answer = INT_MAX;
    for (int i = 1; i < n; i++) answer = min(answer, best.back()[i] + d[i][0]);
    cout << answer << endl;
}
