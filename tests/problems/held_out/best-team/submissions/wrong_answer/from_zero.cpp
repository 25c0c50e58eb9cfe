#include <bits/stdc++.h>
using namespace std;
// the best starts at 0
int main() {
    int n;
    cin >> n;
    vector<long long> sum(n + 1);
    vector<int> boss(n + 1);
    for (int i = 1; i <= n; i++) cin >> sum[i];
    for (int i = 2; i <= n; i++) cin >> boss[i];
    for (int i = n; i > 1; i--) sum[boss[i]] += sum[i];
    long long most = 0;
    int best = 1;
    for (int i = 1; i <= n; i++)
        if (sum[i] > most) best = i, most = sum[i];
    cout << best << " " << most << endl;
}
