#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<pair<float, float>> p(n);
    for (auto& [x, y] : p) cin >> x >> y;
    sort(p.begin(), p.end());
    float best = 0;
    for (int i = 1; i < n; i++)
        if (p[i].first != p[i - 1].first)
            best = max(best, fabsf(p[i].second - p[i - 1].second) / (p[i].first - p[i - 1].first));
    printf("%.9f\n", best);
}
