// AF_XDP sockets whose UMEM and rings lie in memory that JavaScript already has (Documentation/networking/af_xdp.rst).
#include "call.h"

#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
// Linux 6.17: how many packets one sendto() may send in copy mode; 32 without it.
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

// Rings, as TypeScript numbers them.
enum { RX = 0, TX = 1, FILL = 2, COMPLETION = 3 };
static const int ringOption[] = {XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING};
static const off_t ringPage[] = {XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, static_cast<off_t>(XDP_UMEM_PGOFF_FILL_RING),
                                 static_cast<off_t>(XDP_UMEM_PGOFF_COMPLETION_RING)};
static const size_t entryBytes[] = {sizeof(xdp_desc), sizeof(xdp_desc), sizeof(uint64_t), sizeof(uint64_t)};

static Napi::Value socketXdp(const Napi::CallbackInfo& info) {
  return result(info, socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
}

// (fd, area, chunk bytes, headroom bytes, flags)
static Napi::Value registerUmem(const Napi::CallbackInfo& info) {
  Bytes area = bytes(info[1]);
  // Zeroed, and of the size that every kernel since 4.18 knows; later fields are flags and tx metadata that we don't use.
  xdp_umem_reg reg = {};
  reg.addr = reinterpret_cast<uint64_t>(area.data);
  reg.len = area.length;
  reg.chunk_size = static_cast<uint32_t>(integer(info[2]));
  reg.headroom = static_cast<uint32_t>(integer(info[3]));
  reg.flags = static_cast<uint32_t>(integer(info[4]));
  return result(info, setsockopt(integer(info[0]), SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)));
}

// (fd, ring, entries)
static Napi::Value setRingSize(const Napi::CallbackInfo& info) {
  int64_t ring = integer(info[1]);
  if (ring < 0 || ring > 3) return failure(info, EINVAL);
  int entries = static_cast<int>(integer(info[2]));
  return result(info, setsockopt(integer(info[0]), SOL_XDP, ringOption[ring], &entries, sizeof(entries)));
}

// (fd, ring, entries, room, offsets[4]) maps the ring over the start of `room`, which is page-aligned; gives the offsets of
// producer, consumer, flags and descriptors in it, and returns the bytes mapped.
static Napi::Value mapRing(const Napi::CallbackInfo& info) {
  int fd = static_cast<int>(integer(info[0]));
  int64_t ring = integer(info[1]);
  if (ring < 0 || ring > 3) return failure(info, EINVAL);
  size_t entries = static_cast<size_t>(integer(info[2]));
  Bytes room = bytes(info[3]);
  Bytes offsets = bytes(info[4]);
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (offsets.length < 16 || reinterpret_cast<uintptr_t>(room.data) % page != 0) return failure(info, EINVAL);

  xdp_mmap_offsets all = {};
  socklen_t size = sizeof(all);
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &all, &size) < 0) return result(info, -1);
  const xdp_ring_offset* ringOffsets[] = {&all.rx, &all.tx, &all.fr, &all.cr};
  const xdp_ring_offset& at = *ringOffsets[ring];

  size_t length = (at.desc + entries * entryBytes[ring] + page - 1) & ~(page - 1);
  if (length > room.length) return failure(info, ENOSPC);
  void* mapped = mmap(room.data, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, ringPage[ring]);
  if (mapped == MAP_FAILED) {
    int error = errno;
    // A failing MAP_FIXED may have unmapped what was there: never leave a hole in the memory.
    mmap(room.data, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    return failure(info, error);
  }
  uint32_t* out = reinterpret_cast<uint32_t*>(offsets.data);
  out[0] = at.producer;
  out[1] = at.consumer;
  out[2] = at.flags;
  out[3] = at.desc;
  return Napi::Number::New(info.Env(), length);
}

// (room) puts zeroed anonymous pages in place of what is mapped there.
static Napi::Value unmap(const Napi::CallbackInfo& info) {
  Bytes room = bytes(info[0]);
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (reinterpret_cast<uintptr_t>(room.data) % page != 0 || room.length % page != 0) return failure(info, EINVAL);
  void* mapped = mmap(room.data, room.length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  return result(info, mapped == MAP_FAILED ? -1 : 0);
}

// (fd, ifindex, queue, flags, fd of a socket whose UMEM to share)
static Napi::Value bindXdp(const Napi::CallbackInfo& info) {
  sockaddr_xdp address = {};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = static_cast<uint32_t>(integer(info[1]));
  address.sxdp_queue_id = static_cast<uint32_t>(integer(info[2]));
  address.sxdp_flags = static_cast<uint16_t>(integer(info[3]));
  address.sxdp_shared_umem_fd = static_cast<uint32_t>(integer(info[4]));
  return result(info, bind(integer(info[0]), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

// (fd) returns XDP_OPTIONS: bit 0 is zero-copy.
static Napi::Value options(const Napi::CallbackInfo& info) {
  xdp_options options = {};
  socklen_t size = sizeof(options);
  int failed = getsockopt(integer(info[0]), SOL_XDP, XDP_OPTIONS, &options, &size);
  return result(info, failed < 0 ? -1 : static_cast<int64_t>(options.flags));
}

// (fd, counters u64[6])
static Napi::Value statistics(const Napi::CallbackInfo& info) {
  Bytes out = bytes(info[1]);
  if (out.length < sizeof(xdp_statistics)) return failure(info, EINVAL);
  socklen_t size = sizeof(xdp_statistics);
  return result(info, getsockopt(integer(info[0]), SOL_XDP, XDP_STATISTICS, out.data, &size));
}

// (fd, packets)
static Napi::Value setTxBudget(const Napi::CallbackInfo& info) {
  int budget = static_cast<int>(integer(info[1]));
  return result(info, setsockopt(integer(info[0]), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget)));
}

void defineXdp(Napi::Object& exports) {
  define(exports, "xdpSocket", socketXdp);
  define(exports, "xdpRegisterUmem", registerUmem);
  define(exports, "xdpSetRingSize", setRingSize);
  define(exports, "xdpMapRing", mapRing);
  define(exports, "xdpBind", bindXdp);
  define(exports, "xdpOptions", options);
  define(exports, "xdpStatistics", statistics);
  define(exports, "xdpSetTxBudget", setTxBudget);
  define(exports, "unmap", unmap);
}
