// Wrong: keeps the counter in 32 bits.
#include <cstdio>
#include <vector>

int main() {
    int n, argument;
    char command[5];
    std::vector<int> values{0};
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%4s %d", command, &argument);
        if (command[0] == 'a') {
            const long long sum = static_cast<long long>(values.back()) + argument;
            values.push_back(static_cast<int>(sum));
        } else {
            while (argument-- > 0 && values.size() > 1) {
                values.pop_back();
            }
        }
        std::printf("%d\n", values.back());
    }
}
