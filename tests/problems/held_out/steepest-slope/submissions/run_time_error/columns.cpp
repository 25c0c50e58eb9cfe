#include <bits/stdc++.h>
using namespace std;
// a table of columns
int main() {
    int n;
    cin >> n;
    vector<int> y(20001), there(20001);
    while (n--) {
        int x;
        cin >> x;
        x += 10000;
        cin >> y.at(x);
        there[x] = 1;
    }
    double best = 0;
    int last = -1;
    for (int x = 0; x <= 20000; x++)
        if (there[x]) {
            if (last >= 0) best = max(best, abs(y[x] - y[last]) / double(x - last));
            last = x;
        }
    printf("%.9f\n", best);
}
