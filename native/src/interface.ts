import { addon } from './addon.ts';
import { check, NEEDS_NET_ADMIN } from './system-error.ts';

const NO_INTERFACE = { ENODEV: 'there is no such interface in this network namespace' };
const EOPNOTSUPP = 95;

/** The kernel's index of an interface, by its name, in this network namespace. @throws SystemError ENODEV */
export function interfaceIndex(name: string): number {
  return check(addon().interfaceIndex(name), 'if_nametoindex', name, NO_INTERFACE);
}

/** Largest packet without the Ethernet header, in bytes. */
export function interfaceMtu(name: string): number {
  return check(addon().interfaceMtu(name), 'ioctl(SIOCGIFMTU)', name, NO_INTERFACE);
}

/** IFF_ flags; bit 0 is IFF_UP. */
export function interfaceFlags(name: string): number {
  return check(addon().interfaceFlags(name), 'ioctl(SIOCGIFFLAGS)', name, NO_INTERFACE);
}

/** The MAC address, 6 bytes. */
export function interfaceMac(name: string): Uint8Array {
  const mac = new Uint8Array(6);
  check(addon().interfaceMac(name, mac), 'ioctl(SIOCGIFHWADDR)', name, NO_INTERFACE);
  return mac;
}

/** Name of the interface's driver as ethtool tells it: `veth`, `tun`, `ixgbe`; empty if it has none to tell. */
export function interfaceDriver(name: string): string {
  const driver = new Uint8Array(32);
  const returned = addon().ethtoolDriver(name, driver);
  if (returned === -EOPNOTSUPP) return '';
  check(returned, 'ioctl(ETHTOOL_GDRVINFO)', name, NO_INTERFACE);
  return new TextDecoder().decode(driver.subarray(0, driver.indexOf(0)));
}

/** Receive and transmit queues of the interface as they are set now; one each if its driver does not tell. */
export function interfaceQueues(name: string): { rx: number; tx: number } {
  const channels = new Uint32Array(8);
  const returned = addon().ethtoolChannels(name, channels);
  if (returned === -EOPNOTSUPP) return { rx: 1, tx: 1 };
  check(returned, 'ioctl(ETHTOOL_GCHANNELS)', name, NO_INTERFACE);
  const [rx, tx, , combined] = channels.subarray(4) as unknown as number[];
  return { rx: Math.max(1, rx! + combined!), tx: Math.max(1, tx! + combined!) };
}

/** Commands of ethtool that get or set one word. */
export const ETHTOOL = { getGro: 0x2b, setGro: 0x2c, getGso: 0x23, setGso: 0x24, getTso: 0x1e, setTso: 0x1f } as const;

/** One word of an interface's settings. */
export function ethtoolGet(name: string, command: number): number {
  return check(addon().ethtoolGet(name, command), `ioctl(ETHTOOL ${command})`, name, NO_INTERFACE);
}

export function ethtoolSet(name: string, command: number, value: number): void {
  check(addon().ethtoolSet(name, command, value), `ioctl(ETHTOOL ${command})`, name, {
    ...NO_INTERFACE,
    EPERM: NEEDS_NET_ADMIN,
  });
}
