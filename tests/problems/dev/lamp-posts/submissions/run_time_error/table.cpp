#include <bits/stdc++.h>
using namespace std;
// marks the posts on a road of at most a million millimetres
int main() {
    int n, k;
    cin >> n >> k;
    vector<char> post(1000001);
    long long first = -1, last = 0;
    for (int i = 0; i < n; i++) {
        long long v;
        cin >> v;
        post.at(v) = 1;
        if (first < 0) first = v;
        last = v;
    }
    long long low = 1, high = last - first;
    while (low < high) {
        long long d = (low + high + 1) / 2, at = first;
        int lamps = 1;
        for (long long v = first; v <= last; v++)
            if (post[v] && v - at >= d) at = v, lamps++;
        if (lamps >= k)
            low = d;
        else
            high = d - 1;
    }
    cout << low << endl;
}
