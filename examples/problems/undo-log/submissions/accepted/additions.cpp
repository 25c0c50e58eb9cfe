#include <cstdio>
#include <vector>

int main() {
    int n;
    long long value = 0, argument;
    char command[5];
    std::vector<long long> additions;
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%4s %lld", command, &argument);
        if (command[0] == 'a') {
            additions.push_back(argument);
            value += argument;
        } else {
            while (argument-- > 0 && !additions.empty()) {
                value -= additions.back();
                additions.pop_back();
            }
        }
        std::printf("%lld\n", value);
    }
}
