#include <bits/stdc++.h>
using namespace std;
long double cost[2002][2002], before[2002];
int main() {
    int n;
    cin >> n;
    for (int i = 1; i <= n; i++) {
        long double p;
        cin >> p;
        before[i] = before[i - 1] + p;
    }
    for (int len = 1; len <= n; len++)
        for (int i = 1, j = len; j <= n; i++, j++) {
            long double best = 1e18;
            for (int k = i; k <= j; k++)
                best = min(best, (k > i ? cost[i][k - 1] : 0) + (k < j ? cost[k + 1][j] : 0));
            cost[i][j] = best + before[j] - before[i - 1];
        }
    printf("%.9Lf\n", cost[1][n]);
}
