import { randomBytes } from 'node:crypto';
import { type BufferPool, type DriverControl, DriverError, type OpenedPort, type OpenOptions } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import { bpfLoadXdp, close } from '@lbd/native';
import { driverError, Port, type PortResources } from './port.ts';
import { type Registry, registryOf } from './registry.ts';
import { QueueRoom, QueueRooms } from './rings.ts';
import { XdpSteering } from './steering.ts';
import { Umem } from './umem.ts';
import { passProgram } from './xdp-program.ts';

type Allocate = (label: string, bytes: number, align?: number) => number;

/** The control plane's side of the driver. */
export class AfXdpControl implements DriverControl {
  readonly steering: XdpSteering;
  readonly #resources: PortResources;
  readonly #registry: Registry;
  /** Names of the interfaces that are open, or being opened. */
  readonly #open = new Set<string>();

  /** @throws DriverError (LBD_DRIVER_PRIVILEGE) if the process may not use bpf */
  constructor(memory: Memory, pool: BufferPool, allocate: Allocate) {
    try {
      this.steering = new XdpSteering();
    } catch (error) {
      throw driverError('(all)', error);
    }
    this.#registry = registryOf(memory);
    this.#resources = {
      maps: this.steering.maps,
      umem: new Umem(memory, pool),
      rooms: new QueueRooms((sizes) => new QueueRoom(memory, sizes, allocate)),
      passProgram: bpfLoadXdp('lbd_punt', passProgram()),
      puntCookie: randomBytes(8).readBigUInt64LE(),
    };
  }

  async open(options: OpenOptions): Promise<OpenedPort> {
    if (this.#open.has(options.name)) {
      throw new DriverError(
        'LBD_DRIVER_OPEN',
        `af_xdp port ${options.name}: interface ${options.name} is open already`,
      );
    }
    this.#open.add(options.name);
    const port = await Port.open(options, this.#resources).catch((error) => {
      this.#open.delete(options.name);
      throw error;
    });
    const { info } = port;
    this.#registry.connect(info.index, info.details.queues);
    return {
      info,
      close: async () => {
        this.#registry.disconnect(info.index);
        port.close();
        this.#open.delete(info.name);
      },
    };
  }

  async close(): Promise<void> {
    this.steering.close();
    close(this.#resources.passProgram);
  }
}
