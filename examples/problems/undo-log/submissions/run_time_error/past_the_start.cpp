// Wrong: goes back k additions even if there are fewer.
#include <cstdio>
#include <vector>

int main() {
    int n, argument;
    char command[5];
    std::scanf("%d", &n);
    std::vector<long long> values(n + 1);
    size_t last = 0;
    for (int i = 0; i < n; ++i) {
        std::scanf("%4s %d", command, &argument);
        if (command[0] == 'a') {
            values.at(last + 1) = values.at(last) + argument;
            ++last;
        } else {
            last -= argument;
        }
        std::printf("%lld\n", values.at(last));
    }
}
