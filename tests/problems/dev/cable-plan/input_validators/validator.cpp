// n m, then m lines u v w: a simple connected graph
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>
using namespace std;

int line = 1;

void fail(const string& words) {
    fprintf(stderr, "Line %d: %s\n", line, words.c_str());
    exit(43);
}

long long integer(const char* name, long long low, long long high) {
    string s;
    int c = getchar();
    while (c == '-' || isdigit(c)) {
        s += (char)c;
        c = getchar();
    }
    if (c != EOF) ungetc(c, stdin);
    if (s.empty() || s == "-") fail(string("integer expected for ") + name);
    size_t first = s[0] == '-';
    if ((s[first] == '0' && s.size() > 1) || s.size() > 18) fail(string("badly written integer for ") + name);
    long long value = atoll(s.c_str());
    if (value < low || value > high)
        fail(string(name) + "=" + s + " is out of range [" + to_string(low) + "," + to_string(high) + "]");
    return value;
}

void character(int wanted, const char* name) {
    if (getchar() != wanted) fail(string(name) + " expected");
    if (wanted == '\n') line++;
}

int main() {
    int n = (int)integer("n", 1, 20000);
    character(' ', "single space");
    int m = (int)integer("m", 0, 30000);
    character('\n', "end of line");
    vector<int> root(n + 1);
    iota(root.begin(), root.end(), 0);
    set<pair<int, int>> seen;
    int parts = n;
    for (int i = 0; i < m; i++) {
        int u = (int)integer("u", 1, n);
        character(' ', "single space");
        int v = (int)integer("v", 1, n);
        character(' ', "single space");
        integer("w", 1, 1000000000);
        if (u == v) fail("self loop at house " + to_string(u));
        if (!seen.insert({min(u, v), max(u, v)}).second)
            fail("duplicate edge " + to_string(u) + "-" + to_string(v));
        character('\n', "end of line");
        while (root[u] != u) u = root[u] = root[root[u]];
        while (root[v] != v) v = root[v] = root[root[v]];
        if (u != v) root[u] = v, parts--;
    }
    if (getchar() != EOF) fail("end of file expected");
    if (parts != 1) fail("graph is not connected, " + to_string(parts) + " components");
    return 42;
}
