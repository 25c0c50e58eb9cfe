// makes a table of places for the longest row that there may be, for every row
#include <bits/stdc++.h>
using namespace std;

int main() {
    int t;
    scanf("%d", &t);
    while (t--) {
        int n;
        scanf("%d", &n);
        vector<long long> a(n);
        for (auto& x : a) scanf("%lld", &x);
        auto order = a;
        sort(order.begin(), order.end());
        vector<set<int>> places(200001);
        int start = 0, best = 0;
        for (int i = 0; i < n; i++) {
            int x = lower_bound(order.begin(), order.end(), a[i]) - order.begin();
            if (!places[x].empty()) start = max(start, *places[x].rbegin());
            places[x].insert(i + 1);
            best = max(best, i + 1 - start);
        }
        printf("%d\n", best);
    }
}
