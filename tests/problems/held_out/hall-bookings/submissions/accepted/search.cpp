#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, q;
    scanf("%d %d", &n, &q);
    vector<array<int, 3>> s(n);
    for (int i = 0; i < n; i++) scanf("%d %d", &s[i][0], &s[i][1]), s[i][2] = i + 1;
    sort(s.begin(), s.end());
    while (q--) {
        int x;
        scanf("%d", &x);
        auto it = upper_bound(s.begin(), s.end(), array<int, 3>{x, INT_MAX, 0});
        if (it == s.begin() || (*--it)[1] < x)
            puts("free");
        else
            printf("%d %d\n", (*it)[2], (*it)[1] - (*it)[0] + 1);
    }
}
