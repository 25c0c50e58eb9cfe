// Wrong: it does not even compile, as some of CodeContests' do not.
#include <cstdio>

int main() {
    int t
    std::scanf("%d", &t);
}
