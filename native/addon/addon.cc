#include "call.h"

static Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  defineBpf(exports);
  defineClock(exports);
  defineInterface(exports);
  definePacket(exports);
  definePoll(exports);
  defineSocket(exports);
  defineWatch(exports);
  defineXdp(exports);
  return exports;
}

NODE_API_MODULE(lbd_native, initialise)
