/*
 * AF_XDP sockets and XDP programs by system calls alone: what the benchmark's C programs need, and no more. Copy mode
 * (veth has no other). See Documentation/networking/af_xdp.rst of the kernel.
 */
#ifndef LBD_BENCH_XSK_H
#define LBD_BENCH_XSK_H
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef AF_XDP
#define AF_XDP 44
#endif
#define FRAME_BYTES 2048

static inline void die(const char *what) {
  perror(what);
  exit(1);
}

/* One of the four rings, single producer and single consumer. `mine` is the side that this process moves. */
struct ring {
  uint32_t *producer, *consumer, *flags, mask, mine;
  void *entries;
};

struct xsk {
  int fd;
  struct ring fill, completion, rx, tx;
};

static inline unsigned interface_index(const char *name) {
  unsigned index = if_nametoindex(name);
  if (!index) die(name);
  return index;
}

static inline struct ring ring_map(int fd, int option, uint32_t entries, const struct xdp_ring_offset *at, size_t entry_bytes, off_t page) {
  if (setsockopt(fd, SOL_XDP, option, &entries, sizeof entries)) die("AF_XDP: ring size");
  uint8_t *p = mmap(NULL, at->desc + entries * entry_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, page);
  if (p == MAP_FAILED) die("AF_XDP: mmap of a ring");
  return (struct ring){.producer = (uint32_t *)(p + at->producer), .consumer = (uint32_t *)(p + at->consumer),
                       .flags = (uint32_t *)(p + at->flags), .mask = entries - 1, .entries = p + at->desc};
}

/* The offsets are the same before and after the rings have their size, so each ring is mapped as soon as it has one. */
static inline void xsk_rings(struct xsk *s, uint32_t entries) {
  struct xdp_mmap_offsets off;
  socklen_t length = sizeof off;
  if (getsockopt(s->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &length)) die("AF_XDP: offsets");
  s->fill = ring_map(s->fd, XDP_UMEM_FILL_RING, entries, &off.fr, 8, XDP_UMEM_PGOFF_FILL_RING);
  s->completion = ring_map(s->fd, XDP_UMEM_COMPLETION_RING, entries, &off.cr, 8, XDP_UMEM_PGOFF_COMPLETION_RING);
  s->rx = ring_map(s->fd, XDP_RX_RING, entries, &off.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
  s->tx = ring_map(s->fd, XDP_TX_RING, entries, &off.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
}

static inline int xsk_socket(void) {
  int fd = socket(AF_XDP, SOCK_RAW, 0);
  if (fd < 0) die("AF_XDP: socket");
  return fd;
}

static inline void xsk_umem(const struct xsk *s, void *umem, size_t bytes) {
  struct xdp_umem_reg registration = {.addr = (uintptr_t)umem, .len = bytes, .chunk_size = FRAME_BYTES};
  if (setsockopt(s->fd, SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration)) die("AF_XDP: UMEM");
}

/* Binds to a queue; to the UMEM of `shared` if there is one. A queue that was just given back may still be busy. */
static inline void xsk_bind(const struct xsk *s, const char *interface, uint32_t queue, const struct xsk *shared) {
  struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_ifindex = interface_index(interface), .sxdp_queue_id = queue,
                                 .sxdp_flags = shared ? XDP_SHARED_UMEM : XDP_COPY | XDP_USE_NEED_WAKEUP,
                                 .sxdp_shared_umem_fd = shared ? (uint32_t)shared->fd : 0};
  for (int i = 0; bind(s->fd, (struct sockaddr *)&address, sizeof address); i++) {
    if (errno != EBUSY || i == 100) die("AF_XDP: bind");
    usleep(10000);
  }
}

/* ---- Rings: how many entries there are to read or room to write, then one entry, then publish ------------------- */

static inline uint32_t ring_readable(const struct ring *r) { return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - r->mine; }
static inline uint32_t ring_room(const struct ring *r) { return r->mask + 1 - (r->mine - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE)); }
static inline void ring_release(struct ring *r) { __atomic_store_n(r->consumer, r->mine, __ATOMIC_RELEASE); }
static inline void ring_submit(struct ring *r) { __atomic_store_n(r->producer, r->mine, __ATOMIC_RELEASE); }
static inline uint64_t *ring_address(struct ring *r) { return (uint64_t *)r->entries + (r->mine++ & r->mask); }
static inline struct xdp_desc *ring_packet(struct ring *r) { return (struct xdp_desc *)r->entries + (r->mine++ & r->mask); }

/* In copy mode it is this call that sends, up to 32 packets a time. */
static inline void xsk_kick(const struct xsk *s) {
  if (sendto(s->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) die("AF_XDP: sendto");
}

/* ---- A program that redirects each packet to the socket of its queue, else passes it on ------------------------- */

static inline int bpf(int command, union bpf_attr *attr) { return (int)syscall(SYS_bpf, command, attr, sizeof *attr); }

/* The link goes away with the process. */
static inline void xsk_attach(const struct xsk *s, const char *interface) {
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 1};
  int map_fd = bpf(BPF_MAP_CREATE, &map);
  if (map_fd < 0) die("bpf: XSKMAP");
  const struct bpf_insn program[] = {
    {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = offsetof(struct xdp_md, rx_queue_index)},
    {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map_fd},
    {.code = 0},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
    {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
    {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)program, .insn_cnt = sizeof program / sizeof *program,
                         .license = (uintptr_t) "GPL", .expected_attach_type = BPF_XDP};
  int program_fd = bpf(BPF_PROG_LOAD, &load);
  if (program_fd < 0) die("bpf: program");
  uint32_t key = 0;
  union bpf_attr update = {.map_fd = (uint32_t)map_fd, .key = (uintptr_t)&key, .value = (uintptr_t)&s->fd};
  if (bpf(BPF_MAP_UPDATE_ELEM, &update)) die("bpf: XSKMAP update");
  union bpf_attr link = {.link_create = {.prog_fd = (uint32_t)program_fd, .target_ifindex = interface_index(interface),
                                         .attach_type = BPF_XDP, .flags = XDP_FLAGS_DRV_MODE}};
  if (bpf(BPF_LINK_CREATE, &link) < 0) die("bpf: attach");
}

static inline uint8_t *umem_pages(size_t bytes) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (p == MAP_FAILED) die("mmap");
  return p;
}
#endif
