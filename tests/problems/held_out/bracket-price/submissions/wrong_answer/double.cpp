#include <bits/stdc++.h>
using namespace std;
// fmod on doubles
int main() {
    const double mod = 1000000007;
    vector<double> price{0};
    string text;
    cin >> text;
    for (char c : text) {
        if (c == '(' || c == '[') {
            price.push_back(0);
            continue;
        }
        double a = price.back();
        price.pop_back();
        price.back() = fmod(price.back() + (c == ')' ? 2 * a : a * a) + 1, mod);
    }
    printf("%.0f\n", price[0]);
}
