#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    scanf("%d", &n);
    vector<long long> sum(n + 1);
    vector<int> boss(n + 1);
    for (int i = 1; i <= n; i++) scanf("%lld", &sum[i]);
    for (int i = 2; i <= n; i++) scanf("%d", &boss[i]);
    for (int i = n; i > 1; i--) sum[boss[i]] += sum[i];
    int best = 1;
    for (int i = 2; i <= n; i++)
        if (sum[i] > sum[best]) best = i;
    printf("%d %lld\n", best, sum[best]);
}
