import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

type Words = Uint32Array | null;

/** The addon's functions: each returns what the system call did, or minus errno. Its C++ says what the arguments are. */
export interface Addon {
  xdpSocket(): number;
  xdpRegisterUmem(fd: number, area: Uint8Array, chunkBytes: number, headroom: number, flags: number): number;
  xdpSetRingSize(fd: number, ring: number, entries: number): number;
  xdpMapRing(fd: number, ring: number, entries: number, room: Uint8Array, offsets: Uint32Array): number;
  xdpBind(fd: number, ifindex: number, queue: number, flags: number, sharedUmemFd: number): number;
  xdpOptions(fd: number): number;
  xdpStatistics(fd: number, counters: BigUint64Array): number;
  xdpSetTxBudget(fd: number, packets: number): number;
  unmap(room: Uint8Array): number;

  bpfMapCreate(
    type: number,
    keyBytes: number,
    valueBytes: number,
    entries: number,
    flags: number,
    name: string,
  ): number;
  bpfMapUpdate(map: number, key: Uint8Array, value: Uint8Array, flags: number): number;
  bpfMapLookup(map: number, key: Uint8Array, value: Uint8Array): number;
  bpfMapDelete(map: number, key: Uint8Array): number;
  bpfMapNextKey(map: number, key: Uint8Array | null, next: Uint8Array): number;
  bpfProgramLoad(
    type: number,
    instructions: Uint8Array,
    license: string,
    name: string,
    expectedAttachType: number,
    log: Uint8Array | null,
  ): number;
  bpfLinkCreate(program: number, ifindex: number, attachType: number, flags: number): number;
  bpfProgramTestRun(
    program: number,
    data: Uint8Array,
    dataOut: Uint8Array | null,
    context: Uint8Array | null,
    flags: number,
    repeat: number,
    out: Words,
  ): number;

  poll(fds: Int32Array, timeout: number): number;
  kickTx(fd: number, tries: number): number;
  kickRx(fd: number): number;
  eventCreate(): number;
  eventSignal(fd: number): number;
  eventDrain(fd: number): number;
  close(fd: number): number;
  adviseHugePages(area: Uint8Array): number;
  clockReader(cell: Float64Array): (() => void) | number;

  netlinkOpen(protocol: number, groups: Uint32Array): number;
  netlinkSend(fd: number, message: Uint8Array): number;
  netlinkReceive(fd: number, room: Uint8Array): number;
  setOption(fd: number, level: number, option: number, value: number): number;
  getOption(fd: number, level: number, option: number): number;
  attachFilter(fd: number, instructions: Uint8Array): number;

  packetOpen(): number;
  packetBind(fd: number, ifindex: number, protocol: number): number;
  packetReceive(
    fd: number,
    memory: Uint8Array,
    addresses: Uint32Array,
    count: number,
    capacity: number,
    info: Uint32Array,
    offload: boolean,
  ): number;
  packetSend(
    fd: number,
    memory: Uint8Array,
    addresses: Uint32Array,
    lengths: Uint32Array,
    first: number,
    count: number,
    offload: Words,
  ): number;
  packetStatistics(fd: number, out: Uint32Array): number;

  interfaceIndex(name: string): number;
  interfaceMtu(name: string): number;
  interfaceFlags(name: string): number;
  interfaceMac(name: string, mac: Uint8Array): number;
  ethtoolDriver(name: string, driver: Uint8Array): number;
  ethtoolChannels(name: string, channels: Uint32Array): number;
  ethtoolGet(name: string, command: number): number;
  ethtoolSet(name: string, command: number, value: number): number;

  watchStart(fd: number, ready: (status: number) => void): unknown;
  watchStop(watch: unknown): number;
  watchHold(watch: unknown, hold: boolean): number;
}

/** The addon is not built, or can't be loaded here. */
export class AddonMissingError extends Error {
  readonly code = 'LBD_NATIVE_MISSING';
}

let loaded: Addon | undefined;

/**
 * Loads the addon, at its first use: programs that never need it run without.
 * @throws AddonMissingError
 */
export function addon(): Addon {
  if (loaded) return loaded;
  const path = fileURLToPath(new URL('../build/Release/lbd_native.node', import.meta.url));
  try {
    loaded = createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    const installer = fileURLToPath(new URL('../install.mjs', import.meta.url));
    throw new AddonMissingError(
      `the native addon ${path} can't be loaded (${(cause as Error).message.split('\n')[0]}). ` +
        'It is built when @lbd/native is installed, on Linux, with g++, make and python3 (Debian: apt install g++ make python3). ' +
        `To build it now: node ${installer}`,
      { cause },
    );
  }
  return loaded;
}
