import type { Driver } from '@lbd/io';

/** Packages of drivers, by the name that the configuration has for them. */
const PACKAGES: Readonly<Record<string, string>> = {
  af_xdp: '@lbd/io-af-xdp',
  af_packet: '@lbd/io-af-packet',
  pcap: '@lbd/io-pcap',
};

/** Loads a driver: on use, since pcap alone needs no native addon. */
export async function loadDriver(name: string): Promise<Driver> {
  const from = PACKAGES[name];
  if (!from) throw new RangeError(`no driver ${name}: there are ${Object.keys(PACKAGES).join(', ')}`);
  const driver = Object.values(await import(from)).find((value) => isDriver(value, name));
  if (!driver) throw new Error(`package ${from} exports no driver ${name}`);
  return driver as Driver;
}

function isDriver(value: unknown, name: string): boolean {
  const driver = value as Partial<Driver> | null;
  return typeof driver === 'object' && driver !== null && driver.name === name && typeof driver.worker === 'function';
}
