import { type DriverControl, DriverError, type OpenedPort, type OpenOptions } from '@lbd/io';
import { getOption, interfaceFlags, interfaceIndex, PacketSocket, SystemError } from '@lbd/native';
import { NOTHING } from './filter.ts';
import { Hider } from './hider.ts';
import { checkOptions } from './options.ts';
import { AfPacketSteering } from './steering.ts';

/** What a worker is told of a port. */
export interface AfPacketDetails {
  /** Sockets, one for each queue. */
  readonly fds: readonly number[];
  /** True if the kernel does not see lbd's traffic. */
  readonly hidden: boolean;
  /** Why it does, if so. */
  readonly reason: string;
}

/** Between attempts to start nft again. */
const RETRY_MS = 1000;
const SOL_PACKET = 263;
const PACKET_FANOUT = 18;
/** PACKET_FANOUT_FLAG_UNIQUEID, at its place. */
const FANOUT_UNIQUE = 0x2000 << 16;

export class AfPacketControl implements DriverControl {
  readonly steering = new AfPacketSteering();
  #hider: Promise<Hider | string> | undefined;
  /** Names of the interfaces on which lbd's traffic is hidden, by their indices. */
  readonly #hidden = new Map<number, string>();

  async open({ index, name, queues, options }: OpenOptions): Promise<OpenedPort> {
    const { hide = true, 'receive-buffer': receiveBuffer = 8 << 20 } = checkOptions(name, options);
    const sockets: PacketSocket[] = [];
    const close = (): void => {
      for (const socket of sockets.splice(0)) socket.close();
    };
    try {
      const ifindex = interfaceIndex(name);
      if ((interfaceFlags(name) & 1) === 0) {
        throw new DriverError('LBD_DRIVER_OPEN', `${name} is down: ip link set ${name} up`);
      }
      for (let queue = 0; queue < queues; queue++) {
        // The kernel finds a group that nobody has for the first socket; the others join it. Mode 0: by hash of the flow.
        const [first] = sockets;
        const fanout = first ? getOption(first.fd, SOL_PACKET, PACKET_FANOUT) & 0xffff : FANOUT_UNIQUE;
        const shared = queues > 1 ? { fanout } : {};
        const socket = { name, ifindex, filter: NOTHING, receiveBuffer, offloads: true, ...shared };
        sockets.push(new PacketSocket(socket));
      }
      const fds = sockets.map(({ fd }) => fd);
      const reason = hide ? await this.#hide(index, name) : 'as configured';
      const hidden = reason === undefined;
      this.steering.addPort(index, fds, hidden);
      const details: AfPacketDetails = { fds, hidden, reason: reason ?? '' };
      const info = {
        driver: 'af_packet',
        index,
        name,
        ifindex,
        mode: hidden ? 'copy, hidden from the kernel' : `copy, the kernel sees it too (${reason})`,
        queues,
        partialChecksums: true,
        details,
      };
      return {
        info,
        close: async () => {
          this.steering.removePort(index);
          const hider = await this.#hider;
          if (this.#hidden.delete(index) && hider instanceof Hider) hider.removePort(index);
          close();
        },
      };
    } catch (error) {
      close();
      throw explain(name, error);
    }
  }

  async close(): Promise<void> {
    const hider = await this.#hider;
    this.#hider = undefined;
    this.#hidden.clear();
    if (hider instanceof Hider) await hider.close();
  }

  /** Hides lbd's traffic on the interface from the kernel; returns why not, if that does not work here. */
  async #hide(index: number, name: string): Promise<string | undefined> {
    this.#hider ??= Hider.start((why) => this.#hideAgain(why));
    const hider = await this.#hider;
    if (typeof hider === 'string') return `nft: ${hider}`;
    hider.addPort(index, name);
    const failure = await hider.done();
    if (failure !== undefined) return `nft: ${failure}`;
    this.#hidden.set(index, name);
    this.steering.hideWith(hider);
    return undefined;
  }

  /** nft is gone, killed by somebody perhaps, and the kernel sees everything: another one takes its place. */
  async #hideAgain(why: string): Promise<void> {
    if (this.#hidden.size === 0) return;
    process.emitWarning(`nft, which hides lbd's traffic from the kernel, has ended (${why}): starting it again`);
    const hider = await Hider.start((again) => this.#hideAgain(again));
    if (this.#hidden.size === 0) {
      if (hider instanceof Hider) await hider.close();
    } else if (typeof hider === 'string') {
      setTimeout(() => void this.#hideAgain(hider), RETRY_MS).unref();
    } else {
      this.#hider = Promise.resolve(hider);
      for (const [index, name] of this.#hidden) hider.addPort(index, name);
      this.steering.hideWith(hider);
    }
  }
}

function explain(port: string, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  const code =
    error.code === 'ENODEV'
      ? 'LBD_DRIVER_NO_INTERFACE'
      : error.code === 'EPERM'
        ? 'LBD_DRIVER_PRIVILEGE'
        : 'LBD_DRIVER_OPEN';
  return new DriverError(code, `af_packet port ${port}: ${error.message}`, { cause: error });
}
