// the same bounds, in millionths and from the bottom right
#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    scanf("%d", &n);
    vector<int> p(n);
    for (int& x : p) {
        int whole, part;
        scanf("%d.%d", &whole, &part);
        x = whole * 1000000 + part;
    }
    vector<vector<int>> cost(n + 1), root(n);
    cost[n] = {0};
    for (int i = n - 1; i >= 0; i--) {
        // cost[i][l]: of the l words from i on
        cost[i].assign(n - i + 1, 0);
        root[i].assign(n - i + 1, i);
        long long sum = p[i];
        cost[i][1] = p[i];
        for (int l = 2; i + l <= n; l++) {
            sum += p[i + l - 1];
            int from = root[i][l - 1], to = root[i + 1][l - 1], best = INT_MAX;
            for (int k = from; k <= to; k++) {
                int x = cost[i][k - i] + cost[k + 1][i + l - k - 1];
                if (x < best) best = x, root[i][l] = k;
            }
            cost[i][l] = best + sum;
        }
    }
    printf("%.6f\n", cost[0][n] / 1e6);
}
