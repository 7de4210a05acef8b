/* The workloads of the bench that are programs of their own. Whatever they are compiled for, they print the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Short blocks: integers, one loop. */
static int xorshift(long iterations) {
  uint64_t x = 88172645463325252u, sum = 0;
  for (long i = 0; i < iterations; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    sum += x;
  }
  printf("xorshift %016llx\n", (unsigned long long)sum);
  return 0;
}

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define ROUND(a, b, c, d, e, f, g, h, i) \
  do { \
    uint32_t t = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]; \
    d += t; \
    h = t + (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) ^ (a & c) ^ (b & c)); \
  } while (0)
#define EIGHT(i) \
  ROUND(a, b, c, d, e, f, g, h, i); \
  ROUND(h, a, b, c, d, e, f, g, i + 1); \
  ROUND(g, h, a, b, c, d, e, f, i + 2); \
  ROUND(f, g, h, a, b, c, d, e, i + 3); \
  ROUND(e, f, g, h, a, b, c, d, i + 4); \
  ROUND(d, e, f, g, h, a, b, c, i + 5); \
  ROUND(c, d, e, f, g, h, a, b, i + 6); \
  ROUND(b, c, d, e, f, g, h, a, i + 7)

static void compress(uint32_t *state, const uint8_t *data) {
  uint32_t w[64];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)data[4 * i] << 24 | data[4 * i + 1] << 16 | data[4 * i + 2] << 8 | data[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  EIGHT(0);
  EIGHT(8);
  EIGHT(16);
  EIGHT(24);
  EIGHT(32);
  EIGHT(40);
  EIGHT(48);
  EIGHT(56);
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

/* Long blocks: SHA-256 with its rounds unrolled, over the same page again and again. */
static int sha256(long bytes) {
  static uint8_t page[4096];
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (size_t i = 0; i < sizeof page; i++) page[i] = (uint8_t)(i * 7 + i / 256);
  for (long done = 0; done < bytes; done += 64) compress(state, page + done % (long)sizeof page);
  uint8_t last[64] = {0x80};
  for (int i = 0; i < 8; i++) last[56 + i] = (uint8_t)((uint64_t)bytes * 8 >> (56 - 8 * i));
  compress(state, last);
  printf("sha256 ");
  for (int i = 0; i < 8; i++) printf("%08x", state[i]);
  printf("\n");
  return 0;
}

/* Text that compresses as text does: words, some far more often than others. */
static int text(long bytes) {
  static char words[4096][12];
  uint32_t x = 12345;
  for (int i = 0; i < 4096; i++) {
    int len = 0;
    do {
      x = x * 1664525 + 1013904223;
      words[i][len++] = "etaoinshrdlucmfwypvbgkqjxz"[(x >> 16) % 26 * ((x >> 24) % 26) / 26];
    } while (len < 2 || (len < 10 && (x >> 12) % 5));
  }
  long column = 0;
  for (long done = 0; done < bytes;) {
    x = x * 1664525 + 1013904223;
    uint32_t r = x >> 8 & 4095;
    x = x * 1664525 + 1013904223;
    const char *word = words[(uint64_t)r * (x >> 8 & 4095) * (x >> 20) >> 24];
    long len = (long)strlen(word);
    if (len > bytes - done - 1) len = bytes - done - 1;
    fwrite(word, 1, (size_t)len, stdout);
    done += len;
    column += len + 1;
    putchar(column > 72 ? '\n' : ' ');
    if (column > 72) column = 0;
    done++;
  }
  return fflush(stdout) != 0;
}

/* Processes: what a shell script does all day. */
static int spawn(long times, char *program) {
  char *arguments[] = {program, NULL}, *environment[] = {NULL};
  long ended = 0;
  for (long i = 0; i < times; i++) {
    pid_t child = fork();
    if (child == 0) {
      execve(program, arguments, environment);
      _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
    ended++;
  }
  printf("spawn %ld\n", ended);
  return 0;
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  long n = atol(arguments[2]);
  if (!strcmp(arguments[1], "xorshift")) return xorshift(n);
  if (!strcmp(arguments[1], "sha256")) return sha256(n);
  if (!strcmp(arguments[1], "text")) return text(n);
  if (!strcmp(arguments[1], "spawn") && count > 3) return spawn(n, arguments[3]);
  return 2;
}
