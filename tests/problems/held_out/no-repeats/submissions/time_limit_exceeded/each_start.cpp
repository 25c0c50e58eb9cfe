#include <bits/stdc++.h>
using namespace std;
int main() {
    int t;
    scanf("%d", &t);
    while (t--) {
        int n, best = 0;
        scanf("%d", &n);
        vector<long long> a(n);
        for (auto& x : a) scanf("%lld", &x);
        for (int i = 0; i < n; i++) {
            set<long long> seen;
            int j = i;
            while (j < n && seen.insert(a[j]).second) j++;
            best = max(best, j - i);
        }
        printf("%d\n", best);
    }
}
