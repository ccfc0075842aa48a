/*
 * The generator of the veth benchmark: sends 64-byte UDP packets of many flows as fast as one core can, from an AF_XDP
 * socket, until it is told to stop.
 *
 *   ./blast <interface> <destination MAC> <source MAC> <VIP> <port> <flows> <queue> [packets per second]
 *
 * Flow f comes from 10.128.0.0 + queue * flows + f, port 10000. Prints how many packets it has sent on SIGTERM or SIGINT, and ends.
 */
#include "xsk.h"
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <time.h>

enum { FRAMES = 2048, BATCH = 32, PACKET_BYTES = 64 };

struct packet {
  struct ether_header ether;
  struct iphdr ip;
  struct udphdr udp;
  uint8_t payload[22];
} __attribute__((packed));

static volatile sig_atomic_t stopped;
static void stop(int signal) { (void)signal; stopped = 1; }

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t sum(uint32_t sum, const void *data, size_t bytes) {
  const uint8_t *p = data;
  for (size_t i = 0; i + 1 < bytes; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
  return sum;
}

static uint16_t checksum(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

static void make(struct packet *p, char **arguments, uint32_t flow) {
  memset(p, 0, sizeof *p);
  memcpy(p->ether.ether_dhost, ether_aton(arguments[2]), 6);
  memcpy(p->ether.ether_shost, ether_aton(arguments[3]), 6);
  p->ether.ether_type = htons(ETHERTYPE_IP);
  p->ip = (struct iphdr){.version = 4, .ihl = 5, .tot_len = htons(50), .ttl = 64, .protocol = IPPROTO_UDP,
                         .saddr = htonl(0x0a800000 + flow), .daddr = inet_addr(arguments[4])};
  p->ip.check = checksum(sum(0, &p->ip, sizeof p->ip));
  p->udp = (struct udphdr){.source = htons(10000), .dest = htons((uint16_t)atoi(arguments[5])), .len = htons(30)};
  p->udp.check = checksum(sum(sum(IPPROTO_UDP + 30, &p->ip.saddr, 8), &p->udp, 30));
}

int main(int argc, char **argv) {
  if (argc < 8 || argc > 9 || !ether_aton(argv[2]) || !ether_aton(argv[3]) || inet_addr(argv[4]) == INADDR_NONE) {
    fprintf(stderr, "usage: blast <interface> <destination MAC> <source MAC> <VIP> <port> <flows> <queue> [packets per second]\n");
    return 1;
  }
  const uint32_t flows = (uint32_t)strtoul(argv[6], NULL, 10);
  const uint32_t queue = (uint32_t)strtoul(argv[7], NULL, 10);
  struct packet *templates = (struct packet *)umem_pages((size_t)flows * PACKET_BYTES);
  for (uint32_t f = 0; f < flows; f++) make(&templates[f], argv, queue * flows + f);

  struct xsk s = {.fd = xsk_socket()};
  uint8_t *umem = umem_pages((size_t)FRAMES * FRAME_BYTES);
  xsk_umem(&s, umem, (size_t)FRAMES * FRAME_BYTES);
  xsk_rings(&s, FRAMES);
  xsk_bind(&s, argv[1], queue, NULL);

  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  const double per_second = argc == 9 ? atof(argv[8]) : 0;
  const double begun = seconds();
  uint64_t free_frames[FRAMES], sent = 0, queued = 0;
  uint32_t free_count = 0, flow = 0;
  for (uint64_t i = 0; i < FRAMES; i++) free_frames[free_count++] = i * FRAME_BYTES;
  while (!stopped) {
    const uint32_t done = ring_readable(&s.completion);
    for (uint32_t i = 0; i < done; i++) free_frames[free_count++] = *ring_address(&s.completion);
    ring_release(&s.completion);
    const double allowed = per_second > 0 ? (seconds() - begun) * per_second : 1e18;
    for (uint32_t i = 0; i < BATCH && free_count > 0 && (double)queued < allowed; i++, queued++) {
      const uint64_t frame = free_frames[--free_count];
      memcpy(umem + frame, &templates[flow], PACKET_BYTES);
      flow = flow + 1 == flows ? 0 : flow + 1;
      *ring_packet(&s.tx) = (struct xdp_desc){.addr = frame, .len = PACKET_BYTES};
    }
    ring_submit(&s.tx);
    xsk_kick(&s);
    sent += done;
  }
  printf("{\"sent\":%lu}\n", sent);
  return 0;
}
