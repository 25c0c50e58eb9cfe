#include <bits/stdc++.h>
using namespace std;
double before[2002];
double solve(int i, int j) {
    if (i > j) return 0;
    double best = 1e18;
    for (int k = i; k <= j; k++) best = min(best, solve(i, k - 1) + solve(k + 1, j));
    return best + before[j] - before[i - 1];
}
int main() {
    int n;
    cin >> n;
    for (int i = 1; i <= n; i++) {
        double p;
        cin >> p;
        before[i] = before[i - 1] + p;
    }
    printf("%.9f\n", solve(1, n));
}
