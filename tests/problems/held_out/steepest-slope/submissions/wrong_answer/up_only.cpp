#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<pair<long long, long long>> p(n);
    for (auto& [x, y] : p) cin >> x >> y;
    sort(p.begin(), p.end());
    double best = 0;
    for (int i = 1; i < n; i++) best = max(best, (p[i].second - p[i - 1].second) / double(p[i].first - p[i - 1].first));
    printf("%.9f\n", best);
}
