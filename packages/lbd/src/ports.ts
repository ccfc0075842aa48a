import { driverOptions, type LbdConfig } from '@lbd/control';
import type { BufferPool, Driver, DriverControl, PortInfo, Steering } from '@lbd/io';
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
  const steering = [...controls.values()].flatMap((control) => control.steering ?? []);
  return { infos, steering: new SteerAll(steering, owner) };
}
