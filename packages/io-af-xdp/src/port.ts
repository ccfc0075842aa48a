import { DriverError, type OpenOptions, type PortInfo } from '@lbd/io';
import {
  bpfAttachXdp,
  bpfLoadXdp,
  bpfMapCreate,
  bpfMapUpdate,
  close,
  interfaceDriver,
  interfaceIndex,
  interfaceQueues,
  SystemError,
  type XdpMode,
} from '@lbd/native';
import { MAX_QUEUES } from './layout.ts';
import { type AfXdpOptions, checkOptions } from './options.ts';
import type { QueueRoom, QueueRooms } from './rings.ts';
import type { BoundSocket, Umem } from './umem.ts';
import type { SteeringMaps } from './xdp/maps.ts';
import { xdpProgram } from './xdp-program.ts';

/** A queue of a port. Plain data. */
export interface QueueDetails {
  readonly queue: number;
  readonly worker: number;
  readonly fd: number;
  /** Address of its queue block. */
  readonly block: number;
}

/** {@link PortInfo.details} of an AF_XDP port. Plain data. */
export interface AfXdpDetails {
  readonly queues: readonly QueueDetails[];
  readonly zeroCopy: boolean;
  /** Name of the interface's driver, as ethtool tells it. */
  readonly interfaceDriver: string;
  /** Why the mode is generic, if native was wanted. */
  readonly whyGeneric?: string;
  /** How packets are punted: the program that passes them and, in generic mode, the cookie that marks them. */
  readonly punt: { readonly program: number; readonly cookie?: bigint };
}

/** What ports share. */
export interface PortResources {
  readonly maps: SteeringMaps;
  readonly umem: Umem;
  readonly rooms: QueueRooms;
  readonly passProgram: number;
  readonly puntCookie: bigint;
}

/** Drivers of devices that have no checksum hardware, and a sender on the same host that relies on it. */
const PARTIAL_CHECKSUMS = ['veth', 'tun', 'virtio_net'];

/** An open port: its sockets and its XDP program. */
export class Port {
  readonly info: PortInfo & { readonly details: AfXdpDetails };
  readonly #undo: Array<() => void>;

  private constructor(info: PortInfo & { readonly details: AfXdpDetails }, undo: Array<() => void>) {
    this.info = info;
    this.#undo = undo;
  }

  /** @throws DriverError, and then nothing is left open */
  static async open(wanted: OpenOptions, resources: PortResources): Promise<Port> {
    const options = checkOptions(wanted.name, wanted.options);
    const undo: Array<() => void> = [];
    try {
      return await openPort(wanted, options, resources, undo, (info) => new Port(info, undo));
    } catch (error) {
      runBackwards(undo);
      throw driverError(wanted.name, error);
    }
  }

  /** Detaches the program and closes the sockets. The workers must not use the port any more. */
  close(): void {
    runBackwards(this.#undo);
  }
}

async function openPort(
  { index, name, queues: wanted }: OpenOptions,
  options: AfXdpOptions,
  resources: PortResources,
  undo: Array<() => void>,
  make: (info: Port['info']) => Port,
): Promise<Port> {
  const ifindex = interfaceIndex(name);
  const { rx: count, tx } = interfaceQueues(name);
  if (count > MAX_QUEUES) {
    const message = `af_xdp port ${name}: ${count} receive queues: at most ${MAX_QUEUES} (ethtool -L ${name} combined ...)`;
    throw new DriverError('LBD_DRIVER_OPEN', message);
  }
  const xskmap = bpfMapCreate({ type: 'xskmap', keyBytes: 4, valueBytes: 4, entries: count, name: 'lbd_sockets' });
  undo.push(() => close(xskmap));
  // A worker sends on the first queue that it receives from: the interface must have one to send on of that number.
  const workers = Math.min(count, tx, wanted);
  const { queues, zeroCopy } = await openQueues({ index, name, ifindex, count, workers }, options, resources, undo);
  for (const { queue, fd } of queues) bpfMapUpdate(xskmap, word(queue), word(fd));

  const program = (puntCookie?: bigint): Uint8Array =>
    xdpProgram({
      maps: resources.maps,
      sockets: xskmap,
      interfaceIndex: index,
      ...(puntCookie === undefined ? {} : { puntCookie }),
    });
  const tryMode = (mode: XdpMode): void => {
    undo.push(attach(name, ifindex, mode, program(mode === 'generic' ? resources.puntCookie : undefined)));
  };
  const attached = attachInMode(options.mode, tryMode);
  const driver = interfaceDriver(name);
  return make({
    driver: 'af_xdp',
    index,
    name,
    ifindex,
    mode: attached.mode,
    queues: workers,
    partialChecksums: PARTIAL_CHECKSUMS.includes(driver),
    details: {
      queues,
      zeroCopy,
      interfaceDriver: driver,
      ...(attached.why === undefined ? {} : { whyGeneric: attached.why }),
      punt: {
        program: resources.passProgram,
        ...(attached.mode === 'generic' ? { cookie: resources.puntCookie } : {}),
      },
    },
  });
}

/** A socket for every receive queue, or packets of the others would go to the kernel; dealt out to the workers. */
async function openQueues(
  port: { index: number; name: string; ifindex: number; count: number; workers: number },
  options: AfXdpOptions,
  { umem, rooms }: PortResources,
  undo: Array<() => void>,
): Promise<{ queues: QueueDetails[]; zeroCopy: boolean }> {
  const sizes = {
    rx: options['rx-ring'],
    tx: options['tx-ring'],
    fill: options['fill-ring'],
    completion: options['completion-ring'],
  };
  const queues: QueueDetails[] = [];
  // In generic mode the kernel copies, always.
  let copying = options.mode === 'generic' ? ('off' as const) : options['zero-copy'];
  for (let queue = 0; queue < port.count; queue++) {
    const room: QueueRoom = rooms.take(sizes);
    undo.push(() => rooms.giveBack(room));
    const address = { name: port.name, ifindex: port.ifindex, interfaceIndex: port.index, queue };
    const socket: BoundSocket = await umem.bind(address, room, copying);
    copying = socket.zeroCopy ? 'on' : 'off'; // the other queues as the first
    undo.push(() => umem.close(socket, room));
    queues.push({ queue, worker: queue % port.workers, fd: socket.fd, block: room.block });
  }
  return { queues, zeroCopy: copying === 'on' };
}

/** Errors that another mode would not make better. */
const HOPELESS = ['EPERM', 'EACCES', 'EBUSY', 'EEXIST', 'ENODEV'];

/** Native mode if it can be (or must be), else generic mode, and then why. */
function attachInMode(
  wanted: AfXdpOptions['mode'],
  tryMode: (mode: XdpMode) => void,
): { readonly mode: XdpMode; readonly why?: string } {
  if (wanted !== 'auto') {
    tryMode(wanted);
    return { mode: wanted };
  }
  try {
    tryMode('native');
    return { mode: 'native' };
  } catch (error) {
    if (!(error instanceof SystemError) || HOPELESS.includes(error.code)) throw error;
    tryMode('generic');
    return { mode: 'generic', why: error.message };
  }
}

/** Loads a program and attaches it. Returns what detaches it. */
function attach(name: string, ifindex: number, mode: XdpMode, program: Uint8Array): () => void {
  const loaded = bpfLoadXdp(`lbd_${mode}`, program);
  try {
    const link = bpfAttachXdp(loaded, name, ifindex, mode);
    return () => close(link);
  } finally {
    close(loaded); // the link holds it
  }
}

/** The driver's error for what went wrong. */
export function driverError(name: string, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  const code =
    error.code === 'ENODEV'
      ? 'LBD_DRIVER_NO_INTERFACE'
      : error.code === 'EPERM' || error.code === 'EACCES'
        ? 'LBD_DRIVER_PRIVILEGE'
        : 'LBD_DRIVER_OPEN';
  return new DriverError(code, `af_xdp port ${name}: ${error.message}`, { cause: error });
}

function runBackwards(undo: Array<() => void>): void {
  for (let step = undo.pop(); step; step = undo.pop()) step();
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
