#include <cstdio>

int main() {
    int n, k;
    char c;
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%d %c", &k, &c);
        while (k-- > 0) {
            std::putchar(c == '_' ? ' ' : c);
        }
    }
    std::putchar('\n');
}
