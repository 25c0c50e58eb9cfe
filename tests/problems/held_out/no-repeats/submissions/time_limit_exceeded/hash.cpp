#include <bits/stdc++.h>
using namespace std;
// an unordered_map, whose numbers of buckets are known
int main() {
    int t;
    scanf("%d", &t);
    while (t--) {
        int n, start = 0, best = 0;
        scanf("%d", &n);
        unordered_map<long long, int> next;
        for (int i = 0; i < n; i++) {
            long long a;
            scanf("%lld", &a);
            if (next.count(a)) start = max(start, next[a]);
            next[a] = i + 1;
            best = max(best, i + 1 - start);
        }
        printf("%d\n", best);
    }
}
