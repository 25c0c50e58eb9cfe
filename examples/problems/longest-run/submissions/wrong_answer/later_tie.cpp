// Wrong: among several longest runs it takes the last one (>= for >).
#include <cstdio>
#include <iostream>
#include <string>

int main() {
    std::string s;
    std::cin >> s;
    int best = 0, length = 0;
    char letter = '?';
    for (size_t i = 0; i < s.size(); ++i) {
        length = (i > 0 && s[i] == s[i - 1]) ? length + 1 : 1;
        if (length >= best) {
            best = length;
            letter = s[i];
        }
    }
    std::printf("%c %d\n", letter, best);
}
