// The monotonic clock, read without an object for V8's garbage collector.
#include "call.h"

#include <ctime>

static Napi::Value readClock(const Napi::CallbackInfo& info) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *static_cast<double*>(info.Data()) = static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
  return Napi::Value();
}

// (cell f64[1]) returns a function that writes the time there, in milliseconds. The function keeps the cell.
static Napi::Value clockReader(const Napi::CallbackInfo& info) {
  Bytes cell = bytes(info[0]);
  if (cell.length < sizeof(double)) return failure(info, EINVAL);
  Napi::Function read = Napi::Function::New(info.Env(), readClock, "readClock", cell.data);
  read.Set("cell", info[0]);
  return read;
}

void defineClock(Napi::Object& exports) { define(exports, "clockReader", clockReader); }
