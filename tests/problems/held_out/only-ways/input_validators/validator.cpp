#include <iostream>
#include <map>
#include <queue>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>
using namespace std;

string line;
int number = 0;

#define check(condition, words)                                            \
    if (!(condition)) {                                                    \
        cerr << "Validation failed in line " << number << ": " << words << endl; \
        return 43;                                                         \
    }

int main() {
    const regex two("(0|[1-9][0-9]{0,8}) (0|[1-9][0-9]{0,8})");
    number++;
    check(getline(cin, line) && !cin.eof(), "line missing");
    check(regex_match(line, two), "expected two integers, got '" << line.substr(0, 40) << "'");
    int n, m;
    stringstream(line) >> n >> m;
    check(2 <= n && n <= 10000, "n out of range: " << n);
    check(n - 1 <= m && m <= 20000, "m out of range: " << m);
    vector<vector<int>> next(n + 1);
    set<pair<int, int>> edges;
    for (int i = 0; i < m; i++) {
        number++;
        check(getline(cin, line) && !cin.eof(), "line missing");
        check(regex_match(line, two), "expected two integers, got '" << line.substr(0, 40) << "'");
        int u, v;
        stringstream(line) >> u >> v;
        check(1 <= u && u <= n, "u out of range: " << u);
        check(1 <= v && v <= n, "v out of range: " << v);
        check(u != v, "loop at " << u);
        check(u < v, "u < v does not hold: " << u << " " << v);
        check(edges.insert({u, v}).second, "edge " << u << " " << v << " appears twice");
        next[u].push_back(v);
        next[v].push_back(u);
    }
    number++;
    check(cin.peek() == EOF, "extra data at the end");
    vector<char> seen(n + 1);
    queue<int> queue;
    queue.push(1);
    seen[1] = 1;
    int reached = 0;
    while (!queue.empty()) {
        int u = queue.front();
        queue.pop();
        reached++;
        for (int v : next[u])
            if (!seen[v]) seen[v] = 1, queue.push(v);
    }
    check(reached == n, "graph not connected, only " << reached << " of " << n << " vertices reachable from 1");
    return 42;
}
