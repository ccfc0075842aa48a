/*
 * The least that an AF_XDP forwarder can do, in C: takes packets from one interface, swaps their MAC addresses and sends
 * them from another. What remains is the kernel's receive and transmit path: no userspace forwarder on the same
 * interfaces goes faster.
 *
 *   ./xdp-forward <in> <out> [both] [poll]
 *
 * With `both` it forwards the other way, too. Spins; with `poll` it sleeps when there is nothing to do. Prints `ready` when it forwards, and how many packets it has
 * forwarded on SIGTERM or SIGINT, which end it.
 */
#include "xsk.h"
#include <poll.h>
#include <signal.h>

enum { FRAMES = 8192, RING = 4096, BATCH = 64 };

static volatile sig_atomic_t stopped;
static void stop(int signal) { (void)signal; stopped = 1; }

static inline void swap_macs(uint8_t *packet) {
  uint8_t destination[6];
  memcpy(destination, packet, 6);
  memcpy(packet, packet + 6, 6);
  memcpy(packet + 6, destination, 6);
}

/* Frames of the receiver on their way out: the transmit ring, the kernel or the completion ring has them. */
struct way { struct xsk *in, *out; uint32_t in_flight; };

static uint32_t forward(struct way *w, uint8_t *umem) {
  struct xsk *in = w->in, *out = w->out;
  uint32_t done = ring_readable(&out->completion);
  for (uint32_t i = 0; i < done; i++) *ring_address(&in->fill) = *ring_address(&out->completion);
  if (done) { ring_release(&out->completion); ring_submit(&in->fill); w->in_flight -= done; }

  uint32_t n = ring_readable(&in->rx), room = ring_room(&out->tx);
  if (n > room) n = room;
  if (n > BATCH) n = BATCH;
  for (uint32_t i = 0; i < n; i++) {
    const struct xdp_desc packet = *ring_packet(&in->rx);
    swap_macs(umem + packet.addr);
    *ring_packet(&out->tx) = (struct xdp_desc){.addr = packet.addr, .len = packet.len};
  }
  if (n) { ring_release(&in->rx); ring_submit(&out->tx); w->in_flight += n; }
  if (w->in_flight) xsk_kick(out);
  return n;
}

int main(int argc, char **argv) {
  bool both = false, sleeps = false, wrong = argc < 3;
  for (int i = 3; i < argc; i++) {
    if (!strcmp(argv[i], "both")) both = true;
    else if (!strcmp(argv[i], "poll")) sleeps = true;
    else wrong = true;
  }
  if (wrong) {
    fprintf(stderr, "usage: xdp-forward <in> <out> [both] [poll]\n");
    return 1;
  }
  struct xsk in = {.fd = xsk_socket()}, out = {.fd = xsk_socket()};
  uint8_t *umem = umem_pages((size_t)FRAMES * FRAME_BYTES);
  xsk_umem(&in, umem, (size_t)FRAMES * FRAME_BYTES);
  xsk_rings(&in, RING);
  xsk_rings(&out, RING);
  xsk_bind(&in, argv[1], 0, NULL);
  xsk_bind(&out, argv[2], 0, &in);
  xsk_attach(&in, argv[1]);
  if (both) xsk_attach(&out, argv[2]);

  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  for (uint64_t i = 0; i < RING; i++) *ring_address(&in.fill) = i * FRAME_BYTES;
  ring_submit(&in.fill);
  if (both) for (uint64_t i = RING; i < FRAMES; i++) *ring_address(&out.fill) = i * FRAME_BYTES;
  ring_submit(&out.fill);
  printf("ready\n");
  fflush(stdout);
  struct way there = {.in = &in, .out = &out}, back = {.in = &out, .out = &in};
  struct pollfd fds[] = {{.fd = in.fd, .events = POLLIN}, {.fd = out.fd, .events = POLLIN}};
  uint64_t forwarded = 0;
  while (!stopped) {
    forwarded += forward(&there, umem);
    if (both) forwarded += forward(&back, umem);
    if (sleeps && !there.in_flight && !back.in_flight) poll(fds, both ? 2 : 1, 100);
  }
  printf("{\"forwarded\":%lu}\n", forwarded);
  return 0;
}
