#include <bits/stdc++.h>
using namespace std;
// looks for the partner of each bracket from its place on
int main() {
    const long long mod = 1000000007;
    string text;
    cin >> text;
    int n = text.size();
    vector<long long> price{0};
    vector<int> partner(n);
    for (int i = 0; i < n; i++) {
        if (text[i] == ')' || text[i] == ']') continue;
        string open;
        int j = i;
        do {
            if (text[j] == '(' || text[j] == '[')
                open += text[j];
            else
                open.pop_back();
            j++;
        } while (!open.empty());
        partner[i] = j - 1;
    }
    vector<int> ends{n};
    for (int i = 0; i < n; i++) {
        if (i == ends.back()) {
            ends.pop_back();
            long long a = price.back();
            price.pop_back();
            price.back() = (price.back() + (text[i] == ')' ? 2 * a : a * a) + 1) % mod;
        } else {
            ends.push_back(partner[i]);
            price.push_back(0);
        }
    }
    cout << price[0] << endl;
}
