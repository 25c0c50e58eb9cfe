#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<int> sum(n + 1), boss(n + 1);
    for (int i = 1; i <= n; i++) cin >> sum[i];
    for (int i = 2; i <= n; i++) cin >> boss[i];
    for (int i = n; i > 1; i--) sum[boss[i]] += sum[i];
    int best = 1;
    for (int i = 2; i <= n; i++)
        if (sum[i] > sum[best]) best = i;
    cout << best << " " << sum[best] << endl;
}
