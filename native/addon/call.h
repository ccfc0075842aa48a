// What every function of the addon needs: its arguments as C++ sees them, and its result.
//
// Each function does one system call (or one batch of them) and returns the kernel's result, or minus errno: the
// TypeScript side makes the error, for it knows what the call was for. There is no state but what the kernel keeps (and
// a scratch area per thread), so that the addon can be loaded by any number of worker threads.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

// The bytes of a typed array, also one over a SharedArrayBuffer (which napi_get_arraybuffer_info refuses on Node 20).
struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

inline Bytes bytes(const Napi::Value& value) {
  static const size_t width[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  Bytes result;
  if (!value.IsTypedArray()) return result;
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok) return result;
  result.data = static_cast<uint8_t*>(data);
  result.length = length * width[type];
  return result;
}

inline int64_t integer(const Napi::Value& value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int64Value() : 0;
}

inline std::string text(const Napi::Value& value) {
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

// The result of a system call, for JavaScript: what it returned, or minus errno.
inline Napi::Value result(const Napi::CallbackInfo& info, int64_t returned) {
  return Napi::Number::New(info.Env(), static_cast<double>(returned < 0 ? -errno : returned));
}

inline Napi::Value failure(const Napi::CallbackInfo& info, int error) {
  return Napi::Number::New(info.Env(), -error);
}

using Function = Napi::Value (*)(const Napi::CallbackInfo&);

inline void define(Napi::Object& exports, const char* name, Function function) {
  exports.Set(name, Napi::Function::New(exports.Env(), function, name));
}

void defineBpf(Napi::Object& exports);
void defineClock(Napi::Object& exports);
void defineInterface(Napi::Object& exports);
void definePacket(Napi::Object& exports);
void definePoll(Napi::Object& exports);
void defineSocket(Napi::Object& exports);
void defineWatch(Napi::Object& exports);
void defineXdp(Napi::Object& exports);
