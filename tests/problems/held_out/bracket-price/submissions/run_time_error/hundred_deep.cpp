#include <bits/stdc++.h>
using namespace std;
int main() {
    array<long long, 101> price{};
    string text;
    cin >> text;
    int depth = 0;
    for (char c : text) {
        if (c == '(' || c == '[') {
            price.at(++depth) = 0;
            continue;
        }
        long long a = price[depth--];
        price[depth] = (price[depth] + (c == ')' ? 2 * a : a * a) + 1) % 1000000007;
    }
    cout << price[0] << endl;
}
