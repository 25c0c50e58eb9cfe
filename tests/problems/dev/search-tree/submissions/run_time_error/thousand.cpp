#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<vector<double>> cost(1002, vector<double>(1002));
    vector<vector<int>> root(1002, vector<int>(1002));
    vector<double> before(1002);
    for (int i = 1; i <= n; i++) {
        double p;
        cin >> p;
        before.at(i) = before[i - 1] + p;
        cost[i][i] = p;
        root[i][i] = i;
    }
    for (int len = 2; len <= n; len++)
        for (int i = 1, j = len; j <= n; i++, j++) {
            double best = 1e18;
            for (int k = root[i][j - 1]; k <= min(root[i + 1][j], j); k++) {
                double x = (k > i ? cost[i][k - 1] : 0) + (k < j ? cost[k + 1][j] : 0);
                if (x < best) best = x, root[i][j] = k;
            }
            cost[i][j] = best + before[j] - before[i - 1];
        }
    printf("%.9f\n", cost[1][n]);
}
