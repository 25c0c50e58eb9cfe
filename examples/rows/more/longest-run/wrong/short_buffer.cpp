// Wrong: reads at most 9999 letters.
#include <cstdio>
#include <cstring>

int main() {
    char s[10000];
    if (!std::fgets(s, sizeof s, stdin)) return 1;
    s[std::strcspn(s, "\n")] = 0;
    int best = 0, length = 0;
    char letter = '?';
    for (int i = 0; s[i]; ++i) {
        length = i && s[i] == s[i - 1] ? length + 1 : 1;
        if (length > best) {
            best = length;
            letter = s[i];
        }
    }
    std::printf("%c %d\n", letter, best);
}
