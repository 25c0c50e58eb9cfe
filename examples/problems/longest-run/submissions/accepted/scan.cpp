#include <cstdio>
#include <iostream>
#include <string>

int main() {
    std::string s;
    std::cin >> s;
    size_t best = 0, from = 0, start = 0;
    for (size_t i = 1; i <= s.size(); ++i) {
        if (i == s.size() || s[i] != s[start]) {
            if (i - start > best) {
                best = i - start;
                from = start;
            }
            start = i;
        }
    }
    std::printf("%c %zu\n", s[from], best);
}
