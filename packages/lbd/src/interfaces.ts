import type { InterfaceState } from '@lbd/control';
import { ControlError } from '@lbd/control';
import type { FeatureTable, GraphLayout } from '@lbd/graph';
import { InterfaceTable, type PortInfo } from '@lbd/io';
import { lbFeatures } from '@lbd/lb';
import type { Memory } from '@lbd/memory';

/** Features that complete the checksums that local senders leave to hardware, by arc. */
const CHECKSUM_FEATURES = ['l4-checksum', 'l4-checksum6'];

/** In fe80::/10, as the kernel writes it. */
const LINK_LOCAL = /^fe[89ab].:/i;

/** An address without its prefix length. */
const bare = (address: string | undefined): string => address?.split('/')[0] ?? '';

/** The interfaces of lbd: the table that nodes read, the addresses of each, what is enabled on them. */
export class Interfaces {
  readonly table: InterfaceTable;
  readonly #ports: readonly PortInfo[];
  readonly #features: FeatureTable;
  readonly #layout: GraphLayout;
  readonly #arcs: readonly string[];
  readonly #addresses = new Map<number, Set<string>>();

  /** @param drivers names, in the order of the fan-out `output` */
  constructor(
    memory: Memory,
    layout: GraphLayout,
    features: FeatureTable,
    ports: readonly PortInfo[],
    drivers: readonly string[],
  ) {
    this.table = new InterfaceTable(memory, layout.interfaces);
    this.#ports = ports;
    this.#features = features;
    this.#layout = layout;
    this.#arcs = Object.keys(layout.arcs);
    for (const port of ports) {
      const { name, ifindex, partialChecksums = false } = port;
      const driver = drivers.indexOf(port.driver);
      const index = this.table.add({ name, ifindex, driver, partialChecksums });
      if (index !== port.index)
        throw new Error(`interface ${name} has index ${index}, its driver thinks ${port.index}`);
      for (const { node } of lbFeatures) features.set(node, index, true);
      if (partialChecksums) for (const feature of CHECKSUM_FEATURES) features.set(feature, index, true);
    }
  }

  /** @throws ControlError LBD_NO_SUCH_INTERFACE */
  find(name: string): number {
    const index = this.table.find(name);
    if (index !== undefined) return index;
    const names = this.#ports.map((port) => port.name).join(', ');
    throw new ControlError('LBD_NO_SUCH_INTERFACE', `there is no interface "${name}": lbd has ${names}`);
  }

  nameOf(index: number): string {
    return this.#ports[index]?.name ?? `interface ${index}`;
  }

  setFeature(node: string, index: number, on: boolean): void {
    this.#features.set(node, index, on);
  }

  /**
   * An address came to or went from an interface. ICMP errors are sent from the first of each family; from a link-local one,
   * which no router sends on, only if there is no other.
   */
  setAddress(index: number, address: string, there: boolean): void {
    const all = this.#addresses.get(index) ?? new Set<string>();
    this.#addresses.set(index, all);
    if (there) all.add(address);
    else all.delete(address);
    const four = [...all].filter((text) => !text.includes(':'));
    const six = [...all].filter((text) => text.includes(':'));
    const ip6 = six.find((text) => !LINK_LOCAL.test(text)) ?? six[0];
    this.table.update(index, { ip4: bare(four[0]), ip6: bare(ip6) });
  }

  states(): InterfaceState[] {
    const blocks = this.#layout.workers.map(({ block }) => block);
    return this.table.list().map((entry) => {
      const port = this.#ports[entry.index]!;
      const counters = this.table.counters(entry.index, blocks);
      return {
        index: entry.index,
        name: entry.name,
        driver: port.driver,
        mode: port.mode,
        up: entry.up,
        mtu: entry.mtu,
        mac: entry.mac,
        ifindex: entry.ifindex,
        queues: port.queues,
        addresses: [...(this.#addresses.get(entry.index) ?? [])],
        features: this.#arcs.flatMap((arc) => this.#features.enabled(arc, entry.index)),
        rxPackets: Number(counters.rxPackets),
        rxBytes: Number(counters.rxBytes),
        txPackets: Number(counters.txPackets),
        txBytes: Number(counters.txBytes),
        rxDrops: Number(counters.rxDrops),
        txDrops: Number(counters.txDrops),
      };
    });
  }
}
