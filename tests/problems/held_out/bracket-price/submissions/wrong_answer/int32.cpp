#include <bits/stdc++.h>
using namespace std;
// squares in 32 bits
int main() {
    const int mod = 1000000007;
    vector<int> price{0};
    string text;
    cin >> text;
    for (char c : text) {
        if (c == '(' || c == '[') {
            price.push_back(0);
            continue;
        }
        int a = price.back();
        price.pop_back();
        unsigned worth = (c == ')' ? 2u * a : (unsigned)a * a) + 1;
        price.back() = (price.back() + worth % mod) % mod;
    }
    cout << price[0] << endl;
}
