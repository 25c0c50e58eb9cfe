#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, k;
    scanf("%d %d", &n, &k);
    vector<long long> x(n);
    for (auto& v : x) scanf("%lld", &v);
    long long low = 1, high = x.back() - x[0];
    while (low < high) {
        long long d = (low + high + 1) / 2, last = x[0];
        int lamps = 1;
        for (auto v : x)
            if (v - last >= d) last = v, lamps++;
        if (lamps >= k)
            low = d;
        else
            high = d - 1;
    }
    printf("%lld\n", low);
}
