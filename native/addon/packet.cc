// AF_PACKET: vectors of packets between a socket and memory that JavaScript has, one call a vector (packet(7)).
#include "call.h"

#include <arpa/inet.h>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

static const size_t MOST = 256;
// Words that a received packet is described by; see packet-socket.ts.
static const size_t INFO_WORDS = 8;
static const size_t OFFLOAD_WORDS = 3;

// struct virtio_net_hdr of <linux/virtio_net.h>, which is not C++.
struct virtio_net_hdr {
  uint8_t flags, gso_type;
  uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

// The kernel's message headers for a vector. Too much for the stack, and never needed by two calls of a thread at once.
struct Scratch {
  mmsghdr messages[MOST];
  iovec pieces[MOST][2];
  virtio_net_hdr offload[MOST];
  sockaddr_ll from[MOST];
  alignas(cmsghdr) char control[MOST][CMSG_SPACE(sizeof(tpacket_auxdata))];
};
static thread_local Scratch scratch;

static Napi::Value packetOpen(const Napi::CallbackInfo& info) {
  // Protocol 0: nothing comes in until it is bound to its interface.
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return result(info, fd);
}

// (fd, ifindex, protocol in host byte order)
static Napi::Value packetBind(const Napi::CallbackInfo& info) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(integer(info[1]));
  address.sll_protocol = htons(static_cast<uint16_t>(integer(info[2])));
  return result(info, bind(integer(info[0]), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
}

// (fd, memory, addresses u32[], count, capacity, info u32[8 each], offload header) returns how many came; 0 if none.
static Napi::Value packetReceive(const Napi::CallbackInfo& info) {
  Bytes memory = bytes(info[1]), addresses = bytes(info[2]), out = bytes(info[5]);
  size_t count = static_cast<size_t>(integer(info[3]));
  size_t capacity = static_cast<size_t>(integer(info[4]));
  bool offload = info[6].ToBoolean();
  if (count > MOST) count = MOST;
  if (count * 4 > addresses.length || count * INFO_WORDS * 4 > out.length) return failure(info, EINVAL);
  const uint32_t* address = reinterpret_cast<const uint32_t*>(addresses.data);
  Scratch& s = scratch;
  for (size_t i = 0; i < count; i++) {
    if (address[i] > memory.length || capacity > memory.length - address[i]) return failure(info, EFAULT);
    s.pieces[i][0] = {&s.offload[i], sizeof(virtio_net_hdr)};
    s.pieces[i][1] = {memory.data + address[i], capacity};
    msghdr& message = s.messages[i].msg_hdr;
    message = {};
    message.msg_name = &s.from[i];
    message.msg_namelen = sizeof(sockaddr_ll);
    message.msg_iov = offload ? &s.pieces[i][0] : &s.pieces[i][1];
    message.msg_iovlen = offload ? 2 : 1;
    message.msg_control = s.control[i];
    message.msg_controllen = sizeof(s.control[i]);
  }
  int got = recvmmsg(integer(info[0]), s.messages, count, MSG_DONTWAIT | MSG_TRUNC, nullptr);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Napi::Number::New(info.Env(), 0) : result(info, -1);

  uint32_t* words = reinterpret_cast<uint32_t*>(out.data);
  for (int i = 0; i < got; i++, words += INFO_WORDS) {
    memset(words, 0, INFO_WORDS * 4);
    size_t wire = s.messages[i].msg_len;
    if (offload) wire = wire > sizeof(virtio_net_hdr) ? wire - sizeof(virtio_net_hdr) : 0;
    words[0] = static_cast<uint32_t>(wire < capacity ? wire : capacity);
    words[1] = static_cast<uint32_t>(wire);
    words[4] = s.from[i].sll_pkttype;
    msghdr& message = s.messages[i].msg_hdr;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
      tpacket_auxdata aux;
      memcpy(&aux, CMSG_DATA(c), sizeof(aux));
      words[2] = aux.tp_status;
      words[3] = aux.tp_vlan_tci | static_cast<uint32_t>(aux.tp_vlan_tpid) << 16;
    }
    if (offload) {
      const virtio_net_hdr& h = s.offload[i];
      words[5] = h.flags | h.gso_type << 8 | static_cast<uint32_t>(h.hdr_len) << 16;
      words[6] = h.gso_size | static_cast<uint32_t>(h.csum_start) << 16;
      words[7] = h.csum_offset;
    }
  }
  return Napi::Number::New(info.Env(), got);
}

// (fd, memory, addresses u32[], lengths u32[], first, count, offload u32[3 each] or null) returns how many went from `first` on.
static Napi::Value packetSend(const Napi::CallbackInfo& info) {
  Bytes memory = bytes(info[1]), addresses = bytes(info[2]), lengths = bytes(info[3]), offloads = bytes(info[6]);
  size_t first = static_cast<size_t>(integer(info[4]));
  size_t count = static_cast<size_t>(integer(info[5]));
  bool offload = offloads.data != nullptr;
  if (count > MOST) count = MOST;
  if ((first + count) * 4 > addresses.length || (first + count) * 4 > lengths.length) return failure(info, EINVAL);
  if (offload && (first + count) * OFFLOAD_WORDS * 4 > offloads.length) return failure(info, EINVAL);
  const uint32_t* address = reinterpret_cast<const uint32_t*>(addresses.data) + first;
  const uint32_t* length = reinterpret_cast<const uint32_t*>(lengths.data) + first;
  const uint32_t* words = reinterpret_cast<const uint32_t*>(offloads.data) + (offload ? first * OFFLOAD_WORDS : 0);
  Scratch& s = scratch;
  for (size_t i = 0; i < count; i++) {
    if (address[i] > memory.length || length[i] > memory.length - address[i]) return failure(info, EFAULT);
    if (offload) {
      const uint32_t* w = words + i * OFFLOAD_WORDS;
      s.offload[i] = {};
      s.offload[i].flags = w[0] & 0xff;
      s.offload[i].gso_type = w[0] >> 8 & 0xff;
      s.offload[i].hdr_len = w[0] >> 16;
      s.offload[i].gso_size = w[1] & 0xffff;
      s.offload[i].csum_start = w[1] >> 16;
      s.offload[i].csum_offset = w[2] & 0xffff;
      s.pieces[i][0] = {&s.offload[i], sizeof(virtio_net_hdr)};
    }
    s.pieces[i][1] = {memory.data + address[i], length[i]};
    msghdr& message = s.messages[i].msg_hdr;
    message = {};
    message.msg_iov = offload ? &s.pieces[i][0] : &s.pieces[i][1];
    message.msg_iovlen = offload ? 2 : 1;
  }
  return result(info, sendmmsg(integer(info[0]), s.messages, count, MSG_DONTWAIT));
}

// (fd, out u32[2]: packets, drops) since the last call
static Napi::Value packetStatistics(const Napi::CallbackInfo& info) {
  Bytes out = bytes(info[1]);
  tpacket_stats stats = {};
  socklen_t size = sizeof(stats);
  int failed = getsockopt(integer(info[0]), SOL_PACKET, PACKET_STATISTICS, &stats, &size);
  if (failed == 0 && out.length >= 8) {
    reinterpret_cast<uint32_t*>(out.data)[0] = stats.tp_packets;
    reinterpret_cast<uint32_t*>(out.data)[1] = stats.tp_drops;
  }
  return result(info, failed);
}

void definePacket(Napi::Object& exports) {
  define(exports, "packetOpen", packetOpen);
  define(exports, "packetBind", packetBind);
  define(exports, "packetReceive", packetReceive);
  define(exports, "packetSend", packetSend);
  define(exports, "packetStatistics", packetStatistics);
}
