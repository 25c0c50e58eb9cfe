#include <bits/stdc++.h>
using namespace std;
// takes away one lamp after the other, always of the closest pair
int main() {
    int n, k;
    cin >> n >> k;
    vector<long long> x(n);
    for (auto& v : x) cin >> v;
    while ((int)x.size() > k) {
        int best = 1;
        for (int i = 1; i < (int)x.size(); i++)
            if (x[i] - x[i - 1] < x[best] - x[best - 1]) best = i;
        if (best == (int)x.size() - 1 || (best > 1 && x[best - 1] - x[best - 2] < x[best + 1] - x[best])) best--;
        if (best == 0) best = 1;
        x.erase(x.begin() + best);
    }
    long long least = LLONG_MAX;
    for (int i = 1; i < (int)x.size(); i++) least = min(least, x[i] - x[i - 1]);
    cout << least << endl;
}
