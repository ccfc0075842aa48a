// Waiting and waking: poll, AF_XDP wake-ups, eventfd; and the memory advice.
#include "call.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// (fds i32[], timeout in milliseconds) returns how many have something to read. Blocks: for worker threads.
static Napi::Value pollFds(const Napi::CallbackInfo& info) {
  const size_t most = 512;
  Bytes fds = bytes(info[0]);
  size_t count = fds.length / 4;
  if (count > most) return failure(info, EINVAL);
  const int32_t* fd = reinterpret_cast<const int32_t*>(fds.data);
  pollfd entries[most];
  for (size_t i = 0; i < count; i++) entries[i] = {fd[i], POLLIN, 0};
  int ready = poll(entries, count, static_cast<int>(integer(info[1])));
  return ready < 0 && errno == EINTR ? Napi::Number::New(info.Env(), 0) : result(info, ready);
}

// (fd, tries) sends what is on the TX ring; one sendto() sends a limited number of packets in copy mode, and answers EAGAIN
// when there are more.
static Napi::Value kickTx(const Napi::CallbackInfo& info) {
  int fd = static_cast<int>(integer(info[0]));
  int64_t tries = integer(info[1]);
  ssize_t sent;
  do {
    sent = sendto(fd, nullptr, 0, MSG_DONTWAIT, nullptr, 0);
  } while (sent < 0 && errno == EAGAIN && --tries > 0);
  return result(info, sent);
}

// (fd) makes the driver look at the fill ring.
static Napi::Value kickRx(const Napi::CallbackInfo& info) {
  return result(info, recvfrom(integer(info[0]), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr));
}

static Napi::Value eventCreate(const Napi::CallbackInfo& info) {
  return result(info, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static Napi::Value eventSignal(const Napi::CallbackInfo& info) {
  uint64_t one = 1;
  ssize_t written = write(integer(info[0]), &one, sizeof(one));
  // EAGAIN: the counter is at its limit, so it is signalled already.
  return written < 0 && errno == EAGAIN ? Napi::Number::New(info.Env(), 0) : result(info, written);
}

// Returns 1 if it was signalled, else 0.
static Napi::Value eventDrain(const Napi::CallbackInfo& info) {
  uint64_t value = 0;
  ssize_t got = read(integer(info[0]), &value, sizeof(value));
  if (got < 0 && errno == EAGAIN) return Napi::Number::New(info.Env(), 0);
  return result(info, got < 0 ? -1 : 1);
}

static Napi::Value closeFd(const Napi::CallbackInfo& info) { return result(info, close(integer(info[0]))); }

// (area) the part of it that whole pages cover may use huge pages.
static Napi::Value adviseHugePages(const Napi::CallbackInfo& info) {
  Bytes area = bytes(info[0]);
  uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uintptr_t from = (reinterpret_cast<uintptr_t>(area.data) + page - 1) & ~(page - 1);
  uintptr_t to = (reinterpret_cast<uintptr_t>(area.data) + area.length) & ~(page - 1);
  if (to <= from) return Napi::Number::New(info.Env(), 0);
  return result(info, madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE));
}

void definePoll(Napi::Object& exports) {
  define(exports, "poll", pollFds);
  define(exports, "kickTx", kickTx);
  define(exports, "kickRx", kickRx);
  define(exports, "eventCreate", eventCreate);
  define(exports, "eventSignal", eventSignal);
  define(exports, "eventDrain", eventDrain);
  define(exports, "close", closeFd);
  define(exports, "adviseHugePages", adviseHugePages);
}
