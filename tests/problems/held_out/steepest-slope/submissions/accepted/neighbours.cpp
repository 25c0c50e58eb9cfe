#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    scanf("%d", &n);
    vector<pair<long long, long long>> p(n);
    for (auto& [x, y] : p) scanf("%lld %lld", &x, &y);
    sort(p.begin(), p.end());
    double best = 0;
    for (int i = 1; i < n; i++) best = max(best, abs(p[i].second - p[i - 1].second) / double(p[i].first - p[i - 1].first));
    printf("%.9f\n", best);
}
