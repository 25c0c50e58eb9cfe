#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<vector<long long>> d(n, vector<long long>(n));
    for (auto& row : d)
        for (auto& x : row) cin >> x;
    vector<vector<long long>> best(1 << n, vector<long long>(n, 1000000000));
    best[1][0] = 0;
    for (int s = 1; s < 1 << n; s += 2)
        for (int i = 0; i < n; i++)
            for (int j = 1; j < n; j++)
                if (!(s >> j & 1)) best[s | 1 << j][j] = min(best[s | 1 << j][j], best[s][i] + d[i][j]);
    long long answer = 1000000000;
    for (int i = 0; i < n; i++) answer = min(answer, best.back()[i] + d[i][0]);
    cout << answer << endl;
}
