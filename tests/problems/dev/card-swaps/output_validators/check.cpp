// check input answer feedback < output
#include <bits/stdc++.h>
using namespace std;
int main(int argc, char** argv) {
    ifstream input(argv[1]);
    ofstream words(string(argv[3]) + "/judgemessage.txt");
    int n;
    input >> n;
    vector<int> a(n + 1);
    for (int i = 1; i <= n; i++) input >> a[i];
    vector<bool> seen(n + 1);
    int least = n;
    for (int i = 1; i <= n; i++)
        if (!seen[i]) {
            least--;
            for (int j = i; !seen[j]; j = a[j]) seen[j] = true;
        }
    long long k, i, j;
    if (!(cin >> k) || k != least) return words << "the number of moves is not " << least << "\n", 43;
    while (k--) {
        if (!(cin >> i >> j)) return words << "a move is missing\n", 43;
        if (i < 1 || i > n || j < 1 || j > n || i == j) return words << "no such move: " << i << " " << j << "\n", 43;
        swap(a[i], a[j]);
    }
    string rest;
    if (cin >> rest) return words << "text after the moves\n", 43;
    for (int x = 1; x <= n; x++)
        if (a[x] != x) return words << "card " << a[x] << " ends at " << x << "\n", 43;
    return 42;
}
