#include <bits/stdc++.h>
using namespace std;
// gives the profit of each to all above
int main() {
    int n;
    scanf("%d", &n);
    vector<long long> profit(n + 1), sum(n + 1);
    vector<int> boss(n + 1);
    for (int i = 1; i <= n; i++) scanf("%lld", &profit[i]);
    for (int i = 2; i <= n; i++) scanf("%d", &boss[i]);
    for (int i = 1; i <= n; i++)
        for (int j = i; j; j = boss[j]) sum[j] += profit[i];
    int best = 1;
    for (int i = 2; i <= n; i++)
        if (sum[i] > sum[best]) best = i;
    printf("%d %lld\n", best, sum[best]);
}
