// What the kernel knows of an interface, by name, in this network namespace (netdevice(7), ethtool).
#include "call.h"

#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int64_t request(const std::string& name, unsigned long command, ifreq& ifr) {
  if (name.size() >= IFNAMSIZ) {
    errno = ENODEV;
    return -1;
  }
  memcpy(ifr.ifr_name, name.c_str(), name.size() + 1);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int64_t returned = ioctl(fd, command, &ifr);
  int error = errno;
  close(fd);
  errno = error;
  return returned;
}

static Napi::Value interfaceIndex(const Napi::CallbackInfo& info) {
  unsigned index = if_nametoindex(text(info[0]).c_str());
  return result(info, index == 0 ? -1 : static_cast<int64_t>(index));
}

static Napi::Value interfaceMtu(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  int64_t returned = request(text(info[0]), SIOCGIFMTU, ifr);
  return result(info, returned < 0 ? -1 : ifr.ifr_mtu);
}

// IFF_ flags
static Napi::Value interfaceFlags(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  int64_t returned = request(text(info[0]), SIOCGIFFLAGS, ifr);
  return result(info, returned < 0 ? -1 : static_cast<uint16_t>(ifr.ifr_flags));
}

// (name, address to write to: 6 bytes) returns the hardware type (ARPHRD_)
static Napi::Value interfaceMac(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  Bytes out = bytes(info[1]);
  int64_t returned = request(text(info[0]), SIOCGIFHWADDR, ifr);
  if (returned < 0) return result(info, -1);
  memcpy(out.data, ifr.ifr_hwaddr.sa_data, out.length < 6 ? out.length : 6);
  return Napi::Number::New(info.Env(), ifr.ifr_hwaddr.sa_family);
}

// (name, driver name to write to: 32 bytes, ends with 0)
static Napi::Value ethtoolDriver(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  ethtool_drvinfo driver = {};
  driver.cmd = ETHTOOL_GDRVINFO;
  ifr.ifr_data = reinterpret_cast<char*>(&driver);
  int64_t returned = request(text(info[0]), SIOCETHTOOL, ifr);
  Bytes out = bytes(info[1]);
  if (returned >= 0) memcpy(out.data, driver.driver, out.length < sizeof(driver.driver) ? out.length : sizeof(driver.driver));
  return result(info, returned);
}

// (name, out u32[8]: most rx, tx, other, combined, then the same as they are now)
static Napi::Value ethtoolChannels(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifr.ifr_data = reinterpret_cast<char*>(&channels);
  int64_t returned = request(text(info[0]), SIOCETHTOOL, ifr);
  Bytes out = bytes(info[1]);
  if (returned >= 0 && out.length >= 32) memcpy(out.data, &channels.max_rx, 32);
  return result(info, returned);
}

// (name, ETHTOOL_G command of a struct ethtool_value)
static Napi::Value ethtoolGet(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  ethtool_value value = {};
  value.cmd = static_cast<uint32_t>(integer(info[1]));
  ifr.ifr_data = reinterpret_cast<char*>(&value);
  int64_t returned = request(text(info[0]), SIOCETHTOOL, ifr);
  return result(info, returned < 0 ? -1 : static_cast<int64_t>(value.data));
}

// (name, ETHTOOL_S command of a struct ethtool_value, value)
static Napi::Value ethtoolSet(const Napi::CallbackInfo& info) {
  ifreq ifr = {};
  ethtool_value value = {};
  value.cmd = static_cast<uint32_t>(integer(info[1]));
  value.data = static_cast<uint32_t>(integer(info[2]));
  ifr.ifr_data = reinterpret_cast<char*>(&value);
  return result(info, request(text(info[0]), SIOCETHTOOL, ifr));
}

void defineInterface(Napi::Object& exports) {
  define(exports, "interfaceIndex", interfaceIndex);
  define(exports, "interfaceMtu", interfaceMtu);
  define(exports, "interfaceFlags", interfaceFlags);
  define(exports, "interfaceMac", interfaceMac);
  define(exports, "ethtoolDriver", ethtoolDriver);
  define(exports, "ethtoolChannels", ethtoolChannels);
  define(exports, "ethtoolGet", ethtoolGet);
  define(exports, "ethtoolSet", ethtoolSet);
}
