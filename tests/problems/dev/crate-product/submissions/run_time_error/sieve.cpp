#include <bits/stdc++.h>
using namespace std;
// smallest factors up to a million
int main() {
    vector<int> factor(1000001);
    for (int p = 2; p <= 1000000; p++)
        if (!factor[p])
            for (int q = p; q <= 1000000; q += p)
                if (!factor[q]) factor[q] = p;
    int n;
    cin >> n;
    map<int, int> power;
    while (n--) {
        int a;
        cin >> a;
        while (a > 1) power[factor.at(a)]++, a /= factor.at(a);
    }
    long long count = 1;
    for (auto [p, k] : power) count *= k + 1;
    cout << count << endl;
}
