#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<int> count(m + 1);
    while (n--) {
        int w;
        scanf("%d", &w);
        count[w]++;
    }
    bitset<100001> can;
    can[0] = 1;
    for (int w = 1; w <= m; w++) {
        if (count[w] > 2) {
            int pairs = (count[w] - 1) / 2;
            count[w] -= 2 * pairs;
            count[2 * w] += pairs;
        }
        while (count[w]--) can |= can << w;
    }
    int best = m;
    for (int s = 0; s <= m; s++)
        if (can[s]) best = min(best, abs(m - 2 * s));
    printf("%d\n", best);
}
