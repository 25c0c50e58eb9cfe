// Wrong: the buffer holds 100000 characters; a longer text does not fit.
#include <array>
#include <cstdio>

int main() {
    static std::array<char, 100000> text;
    int n, k, used = 0;
    char c;
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%d %c", &k, &c);
        while (k-- > 0) {
            text.at(used++) = c == '_' ? ' ' : c;
        }
    }
    std::printf("%.*s\n", used, text.data());
}
