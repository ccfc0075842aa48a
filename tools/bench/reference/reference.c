/*
 * The C reference of the in-memory benchmark: the least work that a load balancer must do for a packet, as one
 * hand-written path on one core. What lbd's graph does for the same packets is quoted as a multiple of this.
 *
 *   cc -O3 -march=native -o reference reference.c
 *   ./reference --encap nat4 --flows 16384 --seconds 2      one measurement, one line of JSON
 *   ./reference --encap nat4 --flows 16384 --turns          a measurement for each line `go <milliseconds>` on stdin
 *
 * Packets are 64 bytes (an Ethernet, IPv4 and UDP header and 22 bytes of payload), in vectors of 256, and pass through
 * stages that each go over the whole vector:
 *
 *   ethernet-input, ip4-input (header checksum verified), ip4-lookup (16-8-8 mtrie), [lb4-port: the VIP by destination
 *   port], lb4 (CRC-32C of the flow, sticky table, new-flow table), an encap (gre4, nat4 or l3dsr), ip4-rewrite
 *
 * A generator puts the packets in place by copying one template per flow. It is timed alone and taken off. The output of
 * the first vector is verified before anything is timed. No features, trace, drivers, drops or NAT sessions: a real load
 * balancer does more. Needs x86-64 with SSE4.2.
 */
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define VECTOR 256
#define BUFFERS 4096
#define FRAME_BYTES 2048
#define DATA_OFFSET 258 /* of the Ethernet header in its frame: the IP header is then aligned to 16 bytes */
#define TEMPLATE_BYTES 64
#define SERVERS 256
#define NEW_FLOW_SLOTS 16384
#define VIP_SLOTS 1024
#define TIMEOUT 40
#define CLOCK 100000 /* seconds; the reference lives in one of them */
#define STAGE static __attribute__((noinline))

/* ---- Wire formats. Words are kept in wire order, as loaded; one's complement sums do not mind (RFC 1071, 2B). ---- */

struct ether {
  uint8_t destination[6], source[6];
  uint16_t type;
} __attribute__((packed));

struct ip4 {
  uint8_t version_length, tos;
  uint16_t length, id, fragment;
  uint8_t ttl, protocol;
  uint16_t checksum;
  uint32_t source, destination;
} __attribute__((packed));

struct udp {
  uint16_t source, destination, length, checksum;
} __attribute__((packed));

struct gre4 {
  struct ip4 outer;
  uint16_t flags, protocol;
} __attribute__((packed));

#define WIRE16(x) ((uint16_t)__builtin_bswap16(x))
#define WIRE32(x) ((uint32_t)__builtin_bswap32(x))
#define ETHERTYPE_IP4 WIRE16(0x0800)
#define VIP WIRE32(0x5a000001)    /* 90.0.0.1 */
#define VIP_PORT WIRE16(20000)
#define TARGET_PORT WIRE16(3307)
#define TUNNEL_SOURCE WIRE32(0x27282930)
#define DSCP 7

static inline uint16_t first_word(const struct ip4 *ip) {
  uint16_t word;
  memcpy(&word, ip, sizeof word);
  return word;
}
static inline struct udp *udp_of(uint8_t *ip) { return (struct udp *)(ip + sizeof(struct ip4)); }

static inline uint16_t fold(uint64_t sum) {
  sum = (uint32_t)sum + (sum >> 32);
  for (int i = 0; i < 3; i++) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

/* Sum over an IPv4 header without options; 0xffff if its checksum is right. */
static inline uint16_t header_sum(const uint8_t *ip) {
  uint32_t words[5];
  memcpy(words, ip, sizeof words);
  return fold((uint64_t)words[0] + words[1] + words[2] + words[3] + words[4]);
}

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
static inline uint16_t updated(uint16_t checksum, uint64_t complements_of_old, uint64_t new) {
  return (uint16_t)~fold((uint16_t)~checksum + complements_of_old + new);
}

/* ---- Tables ------------------------------------------------------------------------------------------------------- */

/* A leaf is `dpo << 1 | 1`; another entry is twice the place of its 256 children. */
struct mtrie { uint32_t entries[65536 + 2 * 256]; };
struct vip_slot { uint64_t key; uint32_t vip, unused; };
struct sticky_bucket { uint32_t hash[4], expiry[4], vip[4], server[4]; } __attribute__((aligned(64)));
struct server { uint32_t address, adjacency; uint16_t port, unused; };
struct adjacency { struct ether header; uint16_t unused; };

static struct mtrie fib;
static struct vip_slot vips[VIP_SLOTS];
static struct sticky_bucket *sticky;
static uint32_t sticky_mask;
static uint32_t new_flow[NEW_FLOW_SLOTS];
static struct server servers[SERVERS + 1];
static struct adjacency adjacencies[SERVERS + 1] __attribute__((aligned(64)));

static struct { uint64_t existing, first, untracked, dropped, bytes; } counters;

static inline uint32_t vip_hash(uint64_t key) { return (uint32_t)_mm_crc32_u64(0, key) & (VIP_SLOTS - 1); }

/* ---- The vector: for each packet where its current header is, and what the stages tell each other --------------- */

static struct {
  uint8_t *header[VECTOR];
  uint32_t dpo[VECTOR];
  uint32_t hash[VECTOR];
  uint32_t server[VECTOR];
} vector;

/* ---- Generator ---------------------------------------------------------------------------------------------------- */

static struct {
  uint8_t *frames, *templates;
  uint32_t flow_mask, buffer, flow;
} generator;

STAGE void generate(void) {
  for (int i = 0; i < VECTOR; i++) {
    uint8_t *packet = generator.frames + (size_t)((generator.buffer + i) % BUFFERS) * FRAME_BYTES + DATA_OFFSET;
    memcpy(packet, generator.templates + (size_t)((generator.flow + i) & generator.flow_mask) * TEMPLATE_BYTES, TEMPLATE_BYTES);
    vector.header[i] = packet;
  }
  generator.buffer += VECTOR;
  generator.flow += VECTOR;
}

/* ---- Stages ------------------------------------------------------------------------------------------------------- */

/* The two input stages return true if any packet of the vector is bad. */
STAGE bool ethernet_input(void) {
  bool bad = false;
  for (int i = 0; i < VECTOR; i++) {
    bad |= ((const struct ether *)vector.header[i])->type != ETHERTYPE_IP4;
    vector.header[i] += sizeof(struct ether);
  }
  return bad;
}

STAGE bool ip4_input(void) {
  bool bad = false;
  for (int i = 0; i < VECTOR; i++) {
    const struct ip4 *ip = (const struct ip4 *)vector.header[i];
    bad |= ip->version_length != 0x45 || ip->ttl == 0 || header_sum(vector.header[i]) != 0xffff;
  }
  return bad;
}

STAGE void ip4_lookup(void) {
  for (int i = 0; i < VECTOR; i++) {
    const uint8_t *address = (const uint8_t *)&((const struct ip4 *)vector.header[i])->destination;
    uint32_t entry = fib.entries[address[0] << 8 | address[1]];
    if (!(entry & 1)) entry = fib.entries[(entry >> 1) + address[2]];
    if (!(entry & 1)) entry = fib.entries[(entry >> 1) + address[3]];
    vector.dpo[i] = entry >> 1;
  }
}

/* From the prefix's DPO to the VIP of this protocol and port. */
STAGE void lb4_port(void) {
  for (int i = 0; i < VECTOR; i++) {
    uint8_t *ip = vector.header[i];
    uint64_t key = (uint64_t)vector.dpo[i] << 32 | (uint32_t)((const struct ip4 *)ip)->protocol << 16 | udp_of(ip)->destination;
    uint32_t slot = vip_hash(key);
    while (vips[slot].key && vips[slot].key != key) slot = (slot + 1) & (VIP_SLOTS - 1);
    vector.dpo[i] = vips[slot].vip;
  }
}

STAGE void lb4(void) {
  for (int i = 0; i < VECTOR; i++) {
    uint8_t *ip = vector.header[i];
    uint64_t addresses, ports = (uint32_t)udp_of(ip)->source << 16 | udp_of(ip)->destination;
    memcpy(&addresses, ip + 12, 8);
    uint64_t hash = _mm_crc32_u64(_mm_crc32_u64(0, addresses), ports);
    hash = _mm_crc32_u64(_mm_crc32_u64(_mm_crc32_u64(hash, 0), 0), 0);
    vector.hash[i] = (uint32_t)hash;
    __builtin_prefetch(&sticky[hash & sticky_mask], 1, 3);
  }
  const __m128i now = _mm_set1_epi32(CLOCK);
  for (int i = 0; i < VECTOR; i++) {
    const uint32_t hash = vector.hash[i], vip = vector.dpo[i];
    struct sticky_bucket *b = &sticky[hash & sticky_mask];
    const __m128i alive = _mm_cmpgt_epi32(_mm_load_si128((__m128i *)b->expiry), now);
    const __m128i same_hash = _mm_cmpeq_epi32(_mm_load_si128((__m128i *)b->hash), _mm_set1_epi32((int)hash));
    const __m128i same_vip = _mm_cmpeq_epi32(_mm_load_si128((__m128i *)b->vip), _mm_set1_epi32((int)vip));
    const __m128i mine = _mm_and_si128(alive, _mm_and_si128(same_hash, same_vip));
    const int found = _mm_movemask_ps(_mm_castsi128_ps(mine));
    if (__builtin_expect(found != 0, 1)) {
      int k = __builtin_ctz((unsigned)found);
      b->expiry[k] = CLOCK + TIMEOUT;
      vector.server[i] = b->server[k];
      counters.existing++;
      continue;
    }
    const uint32_t server = new_flow[hash & (NEW_FLOW_SLOTS - 1)];
    const int unused = ~_mm_movemask_ps(_mm_castsi128_ps(alive)) & 15;
    if (unused) {
      int k = __builtin_ctz((unsigned)unused);
      b->hash[k] = hash;
      b->expiry[k] = CLOCK + TIMEOUT;
      b->vip[k] = vip;
      b->server[k] = server;
      counters.first++;
    } else {
      counters.untracked++;
    }
    vector.server[i] = server;
  }
}

STAGE void encap_gre4(void) {
  for (int i = 0; i < VECTOR; i++) {
    const struct ip4 *inner = (const struct ip4 *)vector.header[i];
    struct gre4 *gre = (struct gre4 *)(vector.header[i] - sizeof *gre);
    const uint16_t length = WIRE16(WIRE16(inner->length) + sizeof *gre);
    const uint32_t destination = servers[vector.server[i]].address;
    const uint64_t sum = (uint64_t)WIRE16(0x4500) + length + WIRE16(128 << 8 | 47) + TUNNEL_SOURCE + destination;
    *gre = (struct gre4){
      .outer = {.version_length = 0x45, .length = length, .ttl = 128, .protocol = 47, .checksum = (uint16_t)~fold(sum),
                .source = TUNNEL_SOURCE, .destination = destination},
      .protocol = ETHERTYPE_IP4,
    };
    vector.header[i] = (uint8_t *)gre;
  }
}

STAGE void encap_nat4(void) {
  for (int i = 0; i < VECTOR; i++) {
    struct ip4 *ip = (struct ip4 *)vector.header[i];
    struct udp *udp = udp_of(vector.header[i]);
    const struct server *server = &servers[vector.server[i]];
    const uint32_t gone = ~ip->destination;
    const uint16_t gone_port = (uint16_t)~udp->destination;
    ip->checksum = updated(ip->checksum, gone, server->address);
    if (udp->checksum) udp->checksum = updated(udp->checksum, (uint64_t)gone + gone_port, (uint64_t)server->address + server->port);
    ip->destination = server->address;
    udp->destination = server->port;
  }
}

STAGE void encap_l3dsr(void) {
  for (int i = 0; i < VECTOR; i++) {
    struct ip4 *ip = (struct ip4 *)vector.header[i];
    struct udp *udp = udp_of(vector.header[i]);
    const uint32_t gone = ~ip->destination, address = servers[vector.server[i]].address;
    const uint16_t gone_word = (uint16_t)~first_word(ip);
    ip->tos = (uint8_t)(DSCP << 2 | (ip->tos & 3));
    ip->destination = address;
    ip->checksum = updated(ip->checksum, (uint64_t)gone + gone_word, (uint64_t)address + first_word(ip));
    if (udp->checksum) udp->checksum = updated(udp->checksum, gone, address);
  }
}

STAGE void ip4_rewrite(void) {
  uint64_t bytes = 0;
  for (int i = 0; i < VECTOR; i++) {
    uint8_t *packet = vector.header[i] - sizeof(struct ether);
    struct ip4 *ip = (struct ip4 *)vector.header[i];
    /* The TTL is the high byte of its word: the checksum grows by 0x0100 on the wire (RFC 1141). */
    const uint32_t checksum = ip->checksum + WIRE16(0x0100);
    ip->checksum = (uint16_t)(checksum + (checksum >= 0xffff));
    ip->ttl--;
    memcpy(packet, &adjacencies[servers[vector.server[i]].adjacency].header, sizeof(struct ether));
    vector.header[i] = packet;
    bytes += WIRE16(ip->length) + sizeof(struct ether);
  }
  counters.bytes += bytes;
}

static const struct encap { const char *name; bool per_port; void (*rewrite)(void); } encaps[] = {
  {"gre4", false, encap_gre4}, {"nat4", true, encap_nat4}, {"l3dsr", false, encap_l3dsr},
};

static inline void forward(const struct encap *encap) {
  if (ethernet_input() | ip4_input()) counters.dropped += VECTOR;
  ip4_lookup();
  if (encap->per_port) lb4_port();
  lb4();
  encap->rewrite();
  ip4_rewrite();
}

/* ---- Setting up --------------------------------------------------------------------------------------------------- */

static void *zeroed(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) { perror("reference: mmap"); exit(1); }
  madvise(p, bytes, MADV_HUGEPAGE);
  memset(p, 0, bytes);
  return p;
}

static uint32_t power_of_two(uint32_t at_least) {
  uint32_t n = 1;
  while (n < at_least) n *= 2;
  return n;
}

static void make_templates(uint32_t flows) {
  generator.templates = zeroed((size_t)flows * TEMPLATE_BYTES);
  generator.flow_mask = flows - 1;
  for (uint32_t f = 0; f < flows; f++) {
    struct { struct ether ether; struct ip4 ip; struct udp udp; } __attribute__((packed)) h = {
      .ether = {.destination = {2, 0, 0, 0, 0, 1}, .source = {2, 0, 0, 0, 0, 2}, .type = ETHERTYPE_IP4},
      .ip = {.version_length = 0x45, .length = WIRE16(50), .ttl = 64, .protocol = 17,
             .source = WIRE32(0x01000000 | f), .destination = VIP},
      .udp = {.source = WIRE16(10000), .destination = VIP_PORT, .length = WIRE16(30), .checksum = WIRE16(0x1234)},
    };
    h.ip.checksum = (uint16_t)~header_sum((const uint8_t *)&h.ip);
    memcpy(generator.templates + (size_t)f * TEMPLATE_BYTES, &h, sizeof h);
  }
}

static void make_tables(uint32_t flows, bool per_port) {
  enum { PREFIX_DPO = 7, PORT_VIP = 3, NODE = 65536 };
  uint32_t buckets = power_of_two(flows < 1024 ? 1024 : flows > 1 << 20 ? 1 << 20 : flows);
  sticky = zeroed((size_t)buckets * sizeof *sticky);
  sticky_mask = buckets - 1;

  for (size_t i = 0; i < sizeof fib.entries / sizeof *fib.entries; i++) fib.entries[i] = 0 << 1 | 1;
  const uint32_t vip = WIRE32(VIP);
  fib.entries[vip >> 16] = NODE << 1;
  fib.entries[NODE + (vip >> 8 & 255)] = (NODE + 256) << 1;
  fib.entries[NODE + 256 + (vip & 255)] = PREFIX_DPO << 1 | 1;

  if (per_port) {
    const uint64_t key = (uint64_t)PREFIX_DPO << 32 | 17 << 16 | VIP_PORT;
    vips[vip_hash(key)] = (struct vip_slot){.key = key, .vip = PORT_VIP};
  }
  for (uint32_t i = 1; i <= SERVERS; i++) {
    servers[i] = (struct server){.address = WIRE32(0x0a010100 | (i - 1)), .adjacency = i, .port = TARGET_PORT};
    memset(&adjacencies[i].header, (int)i, sizeof adjacencies[i].header);
    adjacencies[i].header.type = ETHERTYPE_IP4;
  }
  /* Any even spread will do here; it is shuffled so that neighbouring slots name different servers. */
  for (uint32_t i = 0; i < NEW_FLOW_SLOTS; i++) new_flow[i] = 1 + (i * 2654435761u >> 8) % SERVERS;
}

/* ---- Verification: the first vector, packet by packet, from first principles ------------------------------------ */

static uint16_t sum_bytes(const uint8_t *p, size_t bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes; i++) sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

/* What a receiver sums: pseudo-header, UDP header and data. The templates' checksum is not right, so it is not 0xffff,
   but rewriting must leave it what it was. */
static uint16_t udp_sum(const uint8_t *ip) {
  uint32_t sum = sum_bytes(ip + 12, 8) + 17u + sum_bytes(ip + 20, 30) + sum_bytes(ip + 24, 2);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

static void fail(int packet, const char *what) {
  fprintf(stderr, "reference: packet %d: %s\n", packet, what);
  exit(2);
}

static void verify(const struct encap *encap) {
  uint8_t in[VECTOR][50];
  generate();
  for (int i = 0; i < VECTOR; i++) memcpy(in[i], vector.header[i] + 14, 50);
  forward(encap);
  if (counters.dropped) fail(0, "dropped");
  for (int i = 0; i < VECTOR; i++) {
    const uint8_t *ip = vector.header[i] + 14;
    const struct server *server = &servers[vector.server[i]];
    if (vector.server[i] < 1 || vector.server[i] > SERVERS) fail(i, "no server");
    if (sum_bytes(ip, 20) != 0xffff) fail(i, "wrong IP checksum");
    if (memcmp(ip + 16, &server->address, 4) != 0) fail(i, "wrong destination address");
    if (memcmp(vector.header[i], &adjacencies[server->adjacency].header, 14) != 0) fail(i, "wrong Ethernet header");
    if (!strcmp(encap->name, "gre4")) {
      if (ip[8] != 127 || ip[9] != 47 || ip[2] != 0 || ip[3] != 74) fail(i, "wrong outer header");
      if (memcmp(ip + 20, "\0\0\x08\0", 4) != 0 || memcmp(ip + 24, in[i], 50) != 0) fail(i, "inner packet changed");
      continue;
    }
    if (ip[8] != 63) fail(i, "wrong TTL");
    if (udp_sum(ip) != udp_sum(in[i])) fail(i, "wrong UDP checksum");
    if (!strcmp(encap->name, "nat4") && memcmp(ip + 22, &server->port, 2) != 0) fail(i, "wrong port");
    if (!strcmp(encap->name, "l3dsr") && ip[1] != DSCP << 2) fail(i, "wrong DSCP");
  }
  memset(&counters, 0, sizeof counters);
  memset(sticky, 0, ((size_t)sticky_mask + 1) * sizeof *sticky);
  generator.buffer = generator.flow = 0;
}

/* ---- Measuring ---------------------------------------------------------------------------------------------------- */

static double nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds per packet over at least that long. */
static double timed(const struct encap *encap, double milliseconds) {
  const double start = nanoseconds();
  uint64_t packets = 0;
  double now;
  do {
    for (int k = 0; k < 64; k++) {
      generate();
      if (encap) forward(encap);
      packets += VECTOR;
    }
  } while ((now = nanoseconds()) - start < milliseconds * 1e6);
  return (now - start) / (double)packets;
}

/* Generator alone and everything, in turn; the best of the slices of each. */
static void measure(const struct encap *encap, double milliseconds) {
  enum { SLICES = 5 };
  double alone = 1e9, all = 1e9;
  for (int i = 0; i < SLICES; i++) {
    double t = timed(NULL, milliseconds / SLICES / 2);
    if (t < alone) alone = t;
    t = timed(encap, milliseconds / SLICES / 2);
    if (t < all) all = t;
  }
  printf("{\"encap\":\"%s\",\"flows\":%u,\"ns\":%.3f,\"generatorNs\":%.3f,\"existing\":%lu,\"first\":%lu,\"untracked\":%lu,\"dropped\":%lu}\n",
         encap->name, generator.flow_mask + 1, all - alone, alone, counters.existing, counters.first, counters.untracked,
         counters.dropped);
  fflush(stdout);
  if (counters.dropped) exit(2);
}

static void usage(void) {
  fprintf(stderr, "usage: reference [--encap gre4|nat4|l3dsr] [--flows n] [--seconds s | --turns]\n");
  exit(1);
}

int main(int argc, char **argv) {
  const struct encap *encap = &encaps[1];
  uint32_t flows = 1;
  double seconds = 2;
  bool turns = false;
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(argv[i], "--turns")) { turns = true; continue; }
    if (!value) usage();
    if (!strcmp(argv[i], "--encap")) {
      encap = NULL;
      for (size_t k = 0; k < sizeof encaps / sizeof *encaps; k++) if (!strcmp(encaps[k].name, value)) encap = &encaps[k];
      if (!encap) usage();
    } else if (!strcmp(argv[i], "--flows")) {
      flows = (uint32_t)strtoul(value, NULL, 10);
      if (flows < 1 || flows > 1 << 24) usage();
    } else if (!strcmp(argv[i], "--seconds")) {
      seconds = strtod(value, NULL);
      if (!(seconds > 0)) usage();
    } else usage();
    i++;
  }
  flows = power_of_two(flows);
  generator.frames = zeroed((size_t)BUFFERS * FRAME_BYTES);
  make_templates(flows);
  make_tables(flows, encap->per_port);
  verify(encap);
  for (uint32_t n = 0; n < 2 * flows + 64 * VECTOR; n += VECTOR) { generate(); forward(encap); } /* every flow is known */

  if (!turns) {
    measure(encap, seconds * 1e3);
    return 0;
  }
  printf("{\"ready\":true}\n");
  fflush(stdout);
  char line[64];
  double milliseconds;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "go %lf", &milliseconds) != 1 || !(milliseconds > 0)) usage();
    measure(encap, milliseconds);
  }
  return 0;
}
