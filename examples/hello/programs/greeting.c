#include <stdio.h>

int main(void) {
    puts("Hello from a derivation.");
    return 0;
}
