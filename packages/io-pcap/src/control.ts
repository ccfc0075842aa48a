import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { type DriverControl, DriverError, type OpenedPort, type OpenOptions } from '@lbd/io';
import { checkOptions, type PcapOptions } from './options.ts';
import { PcapError } from './pcap-error.ts';
import { PcapReader } from './reader.ts';
import { fileHeader, writeAll } from './writer.ts';

/** What a worker is told of a port. Files for writing are open, and shared by the workers. */
export interface PcapDetails {
  readonly in?: string;
  readonly outFd?: number;
  readonly puntFd?: number;
  readonly vector: number;
  readonly loop: boolean;
}

/** Files open for writing, each once: ports that name the same file share it. */
export class PcapControl implements DriverControl {
  readonly #files = new Map<string, { readonly fd: number; users: number }>();

  async open({ index, name, options }: OpenOptions): Promise<OpenedPort> {
    const checked = checkOptions(name, options);
    if (checked.in !== undefined) this.#checkInput(name, checked);
    const opened: string[] = [];
    const create = (path: string | undefined): number | undefined => {
      if (path === undefined) return undefined;
      const fd = this.#create(name, resolve(path));
      opened.push(resolve(path));
      return fd;
    };
    const close = (): void => {
      for (const path of opened.splice(0)) this.#release(path);
    };
    try {
      const outFd = create(checked.out);
      const puntFd = create(checked.punt);
      const details: PcapDetails = {
        vector: checked.vector ?? 256,
        loop: checked.loop ?? false,
        ...(checked.in !== undefined && { in: resolve(checked.in) }),
        ...(outFd !== undefined && { outFd }),
        ...(puntFd !== undefined && { puntFd }),
      };
      // One queue, whatever is asked for: a file has one order.
      const info = { driver: 'pcap', index, name, ifindex: 0, mode: 'file', queues: 1, details };
      return { info, close: async () => close() };
    } catch (error) {
      close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const { fd } of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  #checkInput(port: string, options: PcapOptions): void {
    const path = resolve(options.in!);
    for (const key of ['out', 'punt'] as const) {
      if (options[key] !== undefined && resolve(options[key]) === path) {
        throw new DriverError('LBD_DRIVER_OPTION', `pcap port ${port}: in and ${key} are the same file, ${path}`);
      }
    }
    if (this.#files.has(path)) {
      throw new DriverError('LBD_DRIVER_OPTION', `pcap port ${port}: in is a file that a port writes, ${path}`);
    }
    try {
      PcapReader.open(path).close();
    } catch (error) {
      throw failed(port, path, 'read', error);
    }
  }

  #create(port: string, path: string): number {
    const file = this.#files.get(path);
    if (file) {
      file.users++;
      return file.fd;
    }
    try {
      const fd = openSync(path, 'w');
      this.#files.set(path, { fd, users: 1 });
      writeAll(fd, fileHeader());
      return fd;
    } catch (error) {
      throw failed(port, path, 'write', error);
    }
  }

  #release(path: string): void {
    const file = this.#files.get(path);
    if (!file || --file.users > 0) return;
    this.#files.delete(path);
    closeSync(file.fd);
  }
}

function failed(port: string, path: string, what: 'read' | 'write', error: unknown): DriverError {
  const code = (error as NodeJS.ErrnoException).code;
  const why = error instanceof PcapError ? error.message : `cannot ${what} ${path}: ${(error as Error).message}`;
  const kind = code === 'ENOENT' ? 'LBD_DRIVER_NO_INTERFACE' : 'LBD_DRIVER_OPEN';
  return new DriverError(kind, `pcap port ${port}: ${why}`, { cause: error });
}
