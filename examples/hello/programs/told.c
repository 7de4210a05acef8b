/* Embeds what the build environment told the compiler. */
#include <stdio.h>

int main(void) {
    puts(TOLD);
    return 0;
}
