// bpf(2), as much of it as an XDP program with maps needs. The attributes are laid out here, field by field at their
// places in `union bpf_attr`, since the headers of older distributions lack the later ones.
#include "call.h"

#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

enum Command {
  MAP_CREATE = 0,
  MAP_LOOKUP = 1,
  MAP_UPDATE = 2,
  MAP_DELETE = 3,
  MAP_NEXT_KEY = 4,
  PROG_LOAD = 5,
  TEST_RUN = 10,
  LINK_CREATE = 28,
};

static int64_t bpf(Command command, void* attributes, size_t size) {
  return syscall(__NR_bpf, command, attributes, size);
}

static uint64_t pointer(const void* address) { return reinterpret_cast<uint64_t>(address); }

// Names are for bpftool; the kernel has room for 15 bytes and the 0.
static void name(char (&to)[16], const std::string& from) {
  memcpy(to, from.data(), from.size() < 15 ? from.size() : 15);
}

struct MapAttributes {
  uint32_t type, keySize, valueSize, entries, flags, innerMap, node;
  char name[16];
};

// (type, key bytes, value bytes, entries, flags, name)
static Napi::Value mapCreate(const Napi::CallbackInfo& info) {
  MapAttributes a = {};
  a.type = integer(info[0]);
  a.keySize = integer(info[1]);
  a.valueSize = integer(info[2]);
  a.entries = integer(info[3]);
  a.flags = integer(info[4]);
  name(a.name, text(info[5]));
  return result(info, bpf(MAP_CREATE, &a, sizeof(a)));
}

struct ElementAttributes {
  uint32_t map, pad;
  uint64_t key, value, flags;
};

// (map, key, value, flags)
static Napi::Value mapUpdate(const Napi::CallbackInfo& info) {
  ElementAttributes a = {static_cast<uint32_t>(integer(info[0])), 0, pointer(bytes(info[1]).data),
                         pointer(bytes(info[2]).data), static_cast<uint64_t>(integer(info[3]))};
  return result(info, bpf(MAP_UPDATE, &a, sizeof(a)));
}

// (map, key, value to write to)
static Napi::Value mapLookup(const Napi::CallbackInfo& info) {
  ElementAttributes a = {static_cast<uint32_t>(integer(info[0])), 0, pointer(bytes(info[1]).data),
                         pointer(bytes(info[2]).data), 0};
  return result(info, bpf(MAP_LOOKUP, &a, sizeof(a)));
}

// (map, key)
static Napi::Value mapDelete(const Napi::CallbackInfo& info) {
  ElementAttributes a = {static_cast<uint32_t>(integer(info[0])), 0, pointer(bytes(info[1]).data), 0, 0};
  return result(info, bpf(MAP_DELETE, &a, sizeof(a)));
}

// (map, key or null for the first, key to write to)
static Napi::Value mapNextKey(const Napi::CallbackInfo& info) {
  ElementAttributes a = {static_cast<uint32_t>(integer(info[0])), 0, pointer(bytes(info[1]).data),
                         pointer(bytes(info[2]).data), 0};
  return result(info, bpf(MAP_NEXT_KEY, &a, sizeof(a)));
}

struct ProgramAttributes {
  uint32_t type, instructionCount;
  uint64_t instructions, license;
  uint32_t logLevel, logSize;
  uint64_t log;
  uint32_t kernelVersion, flags;
  char name[16];
  uint32_t ifindex, expectedAttachType;
};

// (type, instructions, license, name, expected attach type, log to write to or null)
static Napi::Value programLoad(const Napi::CallbackInfo& info) {
  Bytes instructions = bytes(info[1]);
  Bytes log = bytes(info[5]);
  std::string license = text(info[2]);
  ProgramAttributes a = {};
  a.type = integer(info[0]);
  a.instructionCount = instructions.length / 8;
  a.instructions = pointer(instructions.data);
  a.license = pointer(license.c_str());
  a.logLevel = log.length > 0 ? 1 : 0;
  a.logSize = log.length;
  a.log = pointer(log.data);
  name(a.name, text(info[3]));
  a.expectedAttachType = integer(info[4]);
  return result(info, bpf(PROG_LOAD, &a, sizeof(a)));
}

struct LinkAttributes {
  uint32_t program, target, attachType, flags;
};

// (program, ifindex, attach type, flags)
static Napi::Value linkCreate(const Napi::CallbackInfo& info) {
  LinkAttributes a = {static_cast<uint32_t>(integer(info[0])), static_cast<uint32_t>(integer(info[1])),
                      static_cast<uint32_t>(integer(info[2])), static_cast<uint32_t>(integer(info[3]))};
  return result(info, bpf(LINK_CREATE, &a, sizeof(a)));
}

struct TestAttributes {
  uint32_t program, returned, dataSizeIn, dataSizeOut;
  uint64_t dataIn, dataOut;
  uint32_t repeat, duration, contextSizeIn, contextSizeOut;
  uint64_t contextIn, contextOut;
  uint32_t flags, cpu, batchSize, pad;
};

// (program, data, data to write to or null, context or null, flags, repeat, out u32[3]: returned, data bytes, ns)
static Napi::Value programTestRun(const Napi::CallbackInfo& info) {
  Bytes in = bytes(info[1]), dataOut = bytes(info[2]), context = bytes(info[3]), out = bytes(info[6]);
  TestAttributes a = {};
  a.program = integer(info[0]);
  a.dataSizeIn = in.length;
  a.dataIn = pointer(in.data);
  a.dataSizeOut = dataOut.length;
  a.dataOut = pointer(dataOut.data);
  a.contextSizeIn = context.length;
  a.contextIn = pointer(context.data);
  a.flags = integer(info[4]);
  a.repeat = integer(info[5]);
  int64_t returned = bpf(TEST_RUN, &a, offsetof(TestAttributes, pad));
  if (returned >= 0 && out.length >= 12) {
    uint32_t* words = reinterpret_cast<uint32_t*>(out.data);
    words[0] = a.returned;
    words[1] = a.dataSizeOut;
    words[2] = a.duration;
  }
  return result(info, returned);
}

void defineBpf(Napi::Object& exports) {
  define(exports, "bpfMapCreate", mapCreate);
  define(exports, "bpfMapUpdate", mapUpdate);
  define(exports, "bpfMapLookup", mapLookup);
  define(exports, "bpfMapDelete", mapDelete);
  define(exports, "bpfMapNextKey", mapNextKey);
  define(exports, "bpfProgramLoad", programLoad);
  define(exports, "bpfLinkCreate", linkCreate);
  define(exports, "bpfProgramTestRun", programTestRun);
}
