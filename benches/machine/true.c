/* What is started and waited for, two thousand times. */
int main(void) { return 0; }
