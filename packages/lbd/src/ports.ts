import { driverOptions, type LbdConfig } from '@lbd/control';
import { type BufferPool, type Driver, type DriverControl, DriverError, type PortInfo, type Steering } from '@lbd/io';
import type { Arena } from '@lbd/memory';
import type { Cleanup } from './cleanup.ts';
import { SteerAll } from './steering.ts';

/** The open ports of all drivers. */
export interface Ports {
  /** By interface index, in the order of the configuration. */
  readonly infos: readonly PortInfo[];
  readonly steering: Steering;
}

/** Opens every interface of the configuration. If one can't be, the caller's cleanup closes the others. */
export async function openPorts(
  config: LbdConfig,
  drivers: readonly Driver[],
  arena: Arena,
  pool: BufferPool,
  cleanup: Cleanup,
): Promise<Ports> {
  const controls = new Map<string, DriverControl>();
  for (const driver of drivers) {
    const allocate = (label: string, bytes: number, align?: number) =>
      arena.allocate(`${driver.name}: ${label}`, bytes, align);
    const control = driver.control(arena.memory, pool, allocate);
    controls.set(driver.name, control);
    cleanup.add(() => control.close());
  }
  const infos: PortInfo[] = [];
  const owner = new Map<number, Steering>();
  for (const [index, wanted] of config.interfaces.entries()) {
    const control = controls.get(wanted.driver)!;
    const { name, queues = config.workers } = wanted;
    const port = await control.open({
      index,
      name,
      queues: Math.min(queues, config.workers),
      options: driverOptions(wanted),
    });
    cleanup.add(() => port.close());
    infos.push(port.info);
    if (control.steering) owner.set(index, control.steering);
  }
  checkQueues(infos);
  const steering = [...controls.values()].flatMap((control) => control.steering ?? []);
  return { infos, steering: new SteerAll(steering, owner) };
}

/**
 * A worker sends on the queues that it receives on: one that has a queue of one interface must have one of each. (A capture
 * has one worker, whatever there are.)
 */
export function checkQueues(infos: readonly PortInfo[]): void {
  const ports = infos.filter(({ driver }) => driver !== 'pcap');
  const most = Math.max(...ports.map(({ queues }) => queues));
  const short = ports.find(({ queues }) => queues < most);
  if (!short) return;
  const other = ports.find(({ queues }) => queues === most)!;
  throw new DriverError(
    'LBD_DRIVER_OPTION',
    `interface ${short.name} is opened with ${short.queues} queue${short.queues === 1 ? '' : 's'} and ${other.name} with ${most}: all must have as many; set "queues: ${short.queues}" on ${other.name}, or give ${short.name} more (ethtool -L ${short.name} combined ${most})`,
  );
}
