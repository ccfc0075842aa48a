/*
 * The control for pauses: reads the clock without end, and says how long it was kept from doing so. What it sees is the machine's:
 * interrupts, other processes, other machines on the same processor.
 *
 *   ./gaps <ms>
 *
 * Prints the longest gap and all those of a millisecond or more together, in milliseconds, as JSON: {"longest":1.2,"long":3.4}.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: gaps <ms>\n");
    return 1;
  }
  uint64_t last = now(), end = last + strtoull(argv[1], NULL, 10) * 1000000u, longest = 0, sum = 0;
  while (last < end) {
    uint64_t at = now(), gap = at - last;
    if (gap > longest) longest = gap;
    if (gap >= 1000000) sum += gap;
    last = at;
  }
  printf("{\"longest\":%.3f,\"long\":%.3f}\n", (double)longest / 1e6, (double)sum / 1e6);
  return 0;
}
