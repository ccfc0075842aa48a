/*
 * The latency benchmark: one UDP packet at a time goes from one interface through the device under test to another one, is
 * answered there, and comes back. Both ends are this process, with a packet socket in each of two network namespaces, so that
 * nobody else has to wake up for an answer.
 *
 *   ./pingpong <interface> <destination MAC> <source MAC> <VIP> <port> <other interface> <its namespace> <ms> <pause>
 *
 * The answer is what came in with its addresses and ports swapped. The next packet goes <pause> microseconds after an answer;
 * 0: at once. Runs for <ms> milliseconds and prints the round trips in nanoseconds as JSON: {"lost":0,"ns":[...]}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { PATIENCE_NS = 100000000, MOST = 1 << 20, WARM_UP = 20 };

struct packet {
  struct ether_header ether;
  struct iphdr ip;
  struct udphdr udp;
  uint64_t number;
  uint8_t payload[14];
} __attribute__((packed));

static void die(const char *what) { perror(what); exit(1); }

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint16_t checksum(const void *data, size_t bytes) {
  const uint8_t *p = data;
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

static int open_on(const char *interface) {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
  if (fd < 0) die("AF_PACKET");
  int one = 1;
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one)) die("PACKET_IGNORE_OUTGOING");
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(interface)};
  if (to.sll_ifindex == 0) die(interface);
  if (bind(fd, (struct sockaddr *)&to, sizeof to)) die("bind");
  return fd;
}

/* Waits for packet `number`; others, as the kernel's own neighbour discovery, are passed over. */
static bool receive(int fd, struct packet *p, uint64_t number, uint64_t until) {
  do {
    ssize_t n = recv(fd, p, sizeof *p, 0);
    if (n < 0 && errno != EAGAIN && errno != ENETDOWN) die("recv");
    if (n == sizeof *p && p->ip.protocol == IPPROTO_UDP && p->number == number) return true;
  } while (now() < until);
  return false;
}

static void answer(struct packet *p) {
  struct ether_header ether = p->ether;
  memcpy(p->ether.ether_dhost, ether.ether_shost, 6);
  memcpy(p->ether.ether_shost, ether.ether_dhost, 6);
  uint32_t address = p->ip.saddr;
  p->ip.saddr = p->ip.daddr;
  p->ip.daddr = address;
  uint16_t port = p->udp.source;
  p->udp.source = p->udp.dest;
  p->udp.dest = port;
}

int main(int argc, char **argv) {
  if (argc != 10) {
    fprintf(stderr, "usage: pingpong <interface> <destination MAC> <source MAC> <VIP> <port> <other interface> <its namespace> <ms> <pause>\n");
    return 1;
  }
  int near = open_on(argv[1]);
  int other = open(argv[7], O_RDONLY);
  if (other < 0 || setns(other, CLONE_NEWNET)) die(argv[7]);
  int far = open_on(argv[6]);
  struct packet first = {.ether.ether_type = htons(ETHERTYPE_IP),
                         .ip = {.version = 4, .ihl = 5, .tot_len = htons(50), .ttl = 64, .protocol = IPPROTO_UDP,
                                .saddr = htonl(0x0a800001), .daddr = inet_addr(argv[4])},
                         .udp = {.source = htons(10000), .dest = htons((uint16_t)atoi(argv[5])), .len = htons(30)}};
  memcpy(first.ether.ether_dhost, ether_aton(argv[2]), 6);
  memcpy(first.ether.ether_shost, ether_aton(argv[3]), 6);
  first.ip.check = checksum(&first.ip, sizeof first.ip);

  uint64_t *taken = malloc(MOST * sizeof *taken);
  uint64_t end = now() + strtoull(argv[8], NULL, 10) * 1000000u, pause = strtoull(argv[9], NULL, 10) * 1000u;
  uint64_t count = 0, lost = 0;
  for (uint64_t number = 1; now() < end && count < MOST; number++) {
    struct packet p = first;
    p.number = number;
    uint64_t begun = now();
    if (send(near, &p, sizeof p, 0) != sizeof p) die("send");
    bool back = receive(far, &p, number, begun + PATIENCE_NS);
    if (back) {
      answer(&p);
      if (send(far, &p, sizeof p, 0) != sizeof p) die("send back");
      back = receive(near, &p, number, begun + PATIENCE_NS);
    }
    uint64_t ended = now();
    if (number > WARM_UP) {
      if (back) taken[count++] = ended - begun;
      else lost++;
    }
    /* Not asleep: it would take long to wake up, and that is not the device's time. */
    while (now() < ended + pause) {}
  }
  printf("{\"lost\":%lu,\"ns\":[", lost);
  for (uint64_t i = 0; i < count; i++) printf(i ? ",%lu" : "%lu", taken[i]);
  printf("]}\n");
  return 0;
}
