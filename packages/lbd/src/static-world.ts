import type { LbdConfig } from '@lbd/control';
import type { PortInfo } from '@lbd/io';
import { parsePrefix, prefixText } from '@lbd/packet';
import { ifindexOf, type World, type WorldSink } from './world.ts';

const MAIN_TABLE = 254;
const LOCAL_TABLE = 255;

/** What the kernel would tell, as the section `static` of the configuration says it. */
export class StaticWorld implements World {
  constructor(config: LbdConfig['static'], ports: readonly PortInfo[], sink: WorldSink) {
    const ifindex = (name: string) => ifindexOf(ports.find((port) => port.name === name)!);
    for (const { name, mac, mtu, addresses } of config.interfaces) {
      const link = { ifindex: ifindex(name), name, mac, mtu, up: true, carrier: true };
      sink.change({ kind: 'link', before: undefined, now: link });
      for (const text of addresses) this.#address(sink, link.ifindex, text);
    }
    for (const { address, mac, interface: name } of config.neighbours) {
      const now = { ifindex: ifindex(name), address, mac, state: 'permanent' };
      sink.change({ kind: 'neighbour', before: undefined, now });
    }
    for (const { prefix, via = '', interface: name } of config.routes) {
      this.#route(sink, ifindex(name), prefix, via, 'unicast', MAIN_TABLE);
    }
    sink.flush();
  }

  resolve(): void {} // who is not in the file is not there
  tick(): void {}
  close(): void {}

  /** What the kernel makes of an address: the address is its own, the network is on the link. */
  #address(sink: WorldSink, ifindex: number, text: string): void {
    const [address, length] = text.split('/') as [string, string];
    sink.change({ kind: 'address', before: undefined, now: { ifindex, address, length: Number(length) } });
    const full = address.includes(':') ? 128 : 32;
    this.#route(sink, ifindex, `${address}/${full}`, '', 'local', LOCAL_TABLE);
    if (Number(length) < full) this.#route(sink, ifindex, prefixText(parsePrefix(text)), '', 'unicast', MAIN_TABLE);
  }

  #route(sink: WorldSink, ifindex: number, destination: string, gateway: string, type: string, table: number): void {
    const nexthops = [{ ifindex, gateway, weight: 1, dead: false }];
    sink.change({ kind: 'route', before: undefined, now: { destination, table, type, metric: 0, tos: 0, nexthops } });
  }
}
