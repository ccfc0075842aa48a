import type { Steering } from '@lbd/io';

/** Tells every driver that shares its interfaces with the kernel which traffic is lbd's. */
export class SteerAll implements Steering {
  readonly #drivers: readonly Steering[];
  readonly #owner: ReadonlyMap<number, Steering>;

  /** @param owner the driver of each interface */
  constructor(drivers: readonly Steering[], owner: ReadonlyMap<number, Steering>) {
    this.#drivers = drivers;
    this.#owner = owner;
  }

  addPrefix(prefix: string): void {
    this.#addAll(
      (driver) => driver.addPrefix(prefix),
      (driver) => driver.removePrefix(prefix),
    );
  }

  removePrefix(prefix: string): void {
    for (const driver of this.#drivers) driver.removePrefix(prefix);
  }

  addReturn(address: string, protocol: number, port: number): void {
    this.#addAll(
      (driver) => driver.addReturn(address, protocol, port),
      (driver) => driver.removeReturn(address, protocol, port),
    );
  }

  removeReturn(address: string, protocol: number, port: number): void {
    for (const driver of this.#drivers) driver.removeReturn(address, protocol, port);
  }

  setNat(interfaceIndex: number, family: 4 | 6, on: boolean): void {
    this.#owner.get(interfaceIndex)?.setNat(interfaceIndex, family, on);
  }

  addNodePort(family: 4 | 6, protocol: number, port: number): void {
    this.#addAll(
      (driver) => driver.addNodePort(family, protocol, port),
      (driver) => driver.removeNodePort(family, protocol, port),
    );
  }

  removeNodePort(family: 4 | 6, protocol: number, port: number): void {
    for (const driver of this.#drivers) driver.removeNodePort(family, protocol, port);
  }

  addLocalAddress(address: string): void {
    this.#addAll(
      (driver) => driver.addLocalAddress(address),
      (driver) => driver.removeLocalAddress(address),
    );
  }

  removeLocalAddress(address: string): void {
    for (const driver of this.#drivers) driver.removeLocalAddress(address);
  }

  addTunnelSource(address: string): void {
    this.#addAll(
      (driver) => driver.addTunnelSource(address),
      (driver) => driver.removeTunnelSource(address),
    );
  }

  removeTunnelSource(address: string): void {
    for (const driver of this.#drivers) driver.removeTunnelSource(address);
  }

  /** If one driver refuses, it is undone with those before it. */
  #addAll(add: (driver: Steering) => void, remove: (driver: Steering) => void): void {
    const done: Steering[] = [];
    try {
      for (const driver of this.#drivers) {
        add(driver);
        done.push(driver);
      }
    } catch (error) {
      for (const driver of done) remove(driver);
      throw error;
    }
  }
}
