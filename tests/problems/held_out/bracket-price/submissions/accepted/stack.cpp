#include <bits/stdc++.h>
using namespace std;
int main() {
    const long long mod = 1000000007;
    vector<long long> price{0};
    string text;
    cin >> text;
    for (char c : text) {
        if (c == '(' || c == '[') {
            price.push_back(0);
            continue;
        }
        long long a = price.back();
        price.pop_back();
        price.back() = (price.back() + (c == ')' ? 2 * a : a * a) + 1) % mod;
    }
    cout << price[0] << endl;
}
