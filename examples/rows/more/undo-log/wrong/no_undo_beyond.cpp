// Wrong: ignores an undo of more additions than there are.
#include <cstdio>
#include <vector>

int main() {
    int n;
    char command[5];
    long long argument;
    std::vector<long long> sums{0};
    std::scanf("%d", &n);
    while (n-- > 0) {
        std::scanf("%4s %lld", command, &argument);
        if (command[0] == 'a') sums.push_back(sums.back() + argument);
        else if (argument < static_cast<long long>(sums.size())) sums.resize(sums.size() - argument);
        std::printf("%lld\n", sums.back());
    }
}
