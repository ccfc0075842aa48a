// Readiness of a file descriptor on the event loop of the calling thread, through uv_poll.
#include "call.h"

#include <uv.h>

// Owns the libuv handle: it is freed only after libuv has closed it, also when the environment goes away first.
class Watch {
 public:
  static Napi::Value start(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return failure(info, EINVAL);
    Watch* watch = new Watch(env, info[1].As<Napi::Function>());
    int failed = uv_poll_init(loop, &watch->poll_, static_cast<int>(integer(info[0])));
    if (failed < 0) {
      delete watch;
      return Napi::Number::New(env, failed);
    }
    watch->poll_.data = watch;
    napi_add_async_cleanup_hook(env, &Watch::environmentEnds, watch, &watch->hook_);
    uv_poll_start(&watch->poll_, UV_READABLE, &Watch::ready);
    return Napi::External<Watch>::New(env, watch);
  }

  static Napi::Value stop(const Napi::CallbackInfo& info) {
    if (!info[0].IsExternal()) return failure(info, EINVAL);
    info[0].As<Napi::External<Watch>>().Data()->close();
    return Napi::Number::New(info.Env(), 0);
  }

  // Whether it keeps the process alive.
  static Napi::Value hold(const Napi::CallbackInfo& info) {
    if (!info[0].IsExternal()) return failure(info, EINVAL);
    uv_handle_t* handle = reinterpret_cast<uv_handle_t*>(&info[0].As<Napi::External<Watch>>().Data()->poll_);
    if (info[1].ToBoolean()) uv_ref(handle);
    else uv_unref(handle);
    return Napi::Number::New(info.Env(), 0);
  }

 private:
  Watch(Napi::Env env, Napi::Function callback)
      : env_(env), callback_(Napi::Persistent(callback)), context_(env, "lbd:watch") {}

  static void ready(uv_poll_t* poll, int status, int) {
    Watch* watch = static_cast<Watch*>(poll->data);
    Napi::HandleScope scope(watch->env_);
    watch->callback_.MakeCallback(watch->env_.Global(), {Napi::Number::New(watch->env_, status)}, watch->context_);
  }

  static void environmentEnds(napi_async_cleanup_hook_handle, void* data) { static_cast<Watch*>(data)->close(); }

  void close() {
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      Watch* watch = static_cast<Watch*>(handle->data);
      napi_async_cleanup_hook_handle hook = watch->hook_;
      {
        Napi::HandleScope scope(watch->env_);
        delete watch;
      }
      if (hook) napi_remove_async_cleanup_hook(hook);
    });
  }

  uv_poll_t poll_;
  Napi::Env env_;
  Napi::FunctionReference callback_;
  Napi::AsyncContext context_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

void defineWatch(Napi::Object& exports) {
  define(exports, "watchStart", Watch::start);
  define(exports, "watchStop", Watch::stop);
  define(exports, "watchHold", Watch::hold);
}
