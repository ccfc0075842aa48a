// Sockets in general, and AF_NETLINK.
#include "call.h"

#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

// (protocol, multicast groups u32[])
static Napi::Value netlinkOpen(const Napi::CallbackInfo& info) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, static_cast<int>(integer(info[0])));
  if (fd < 0) return result(info, -1);
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  int on = 1;
  // Reasons in words with errors; an older kernel does without.
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  bool failed = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0;
  Bytes groups = bytes(info[1]);
  for (size_t i = 0; !failed && i < groups.length / 4; i++) {
    int group = reinterpret_cast<const int32_t*>(groups.data)[i];
    failed = setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0;
  }
  if (!failed) return Napi::Number::New(info.Env(), fd);
  int error = errno;
  close(fd);
  return failure(info, error);
}

// (fd, message) to the kernel
static Napi::Value netlinkSend(const Napi::CallbackInfo& info) {
  Bytes message = bytes(info[1]);
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  return result(info, sendto(integer(info[0]), message.data, message.length, MSG_DONTWAIT,
                             reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel)));
}

// (fd, room) one datagram of the kernel; returns its size, which is more than the room's if it was cut off.
static Napi::Value netlinkReceive(const Napi::CallbackInfo& info) {
  Bytes room = bytes(info[1]);
  for (;;) {
    sockaddr_nl from = {};
    socklen_t size = sizeof(from);
    ssize_t got = recvfrom(integer(info[0]), room.data, room.length, MSG_DONTWAIT | MSG_TRUNC,
                           reinterpret_cast<sockaddr*>(&from), &size);
    // What another process sends here is not the kernel's word.
    if (got < 0 || from.nl_pid == 0) return result(info, got);
  }
}

// (fd, level, option, value)
static Napi::Value setOption(const Napi::CallbackInfo& info) {
  int value = static_cast<int>(integer(info[3]));
  return result(info, setsockopt(integer(info[0]), integer(info[1]), integer(info[2]), &value, sizeof(value)));
}

// (fd, level, option)
static Napi::Value getOption(const Napi::CallbackInfo& info) {
  int value = 0;
  socklen_t size = sizeof(value);
  int failed = getsockopt(integer(info[0]), integer(info[1]), integer(info[2]), &value, &size);
  return result(info, failed < 0 ? -1 : value);
}

// (fd, instructions: struct sock_filter[], 8 bytes each)
static Napi::Value attachFilter(const Napi::CallbackInfo& info) {
  Bytes instructions = bytes(info[1]);
  sock_fprog program = {};
  program.len = instructions.length / sizeof(sock_filter);
  program.filter = reinterpret_cast<sock_filter*>(instructions.data);
  return result(info, setsockopt(integer(info[0]), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

void defineSocket(Napi::Object& exports) {
  define(exports, "netlinkOpen", netlinkOpen);
  define(exports, "netlinkSend", netlinkSend);
  define(exports, "netlinkReceive", netlinkReceive);
  define(exports, "setOption", setOption);
  define(exports, "getOption", getOption);
  define(exports, "attachFilter", attachFilter);
}
