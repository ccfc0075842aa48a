import type { Namespace } from './namespace.ts';

/** One end of a link. */
export interface EndOptions {
  /** Name of the interface; `eth0`, `eth1`, ... unless told. */
  readonly name?: string;
  /** Addresses with prefix length: `['10.0.0.1/24']`. */
  readonly addresses?: readonly string[];
  /** Hardware address; the kernel chooses one unless told. */
  readonly mac?: string;
}

/** A pair of virtual Ethernet interfaces. */
export interface LinkOptions {
  readonly a?: EndOptions;
  readonly b?: EndOptions;
  /** Bytes of an IP packet; 1500 unless told. */
  readonly mtu?: number;
  /** Receive and transmit queues of each end; 1 unless told. */
  readonly queues?: number;
}

/** One end of a link, as it was made. */
export interface End {
  readonly namespace: Namespace;
  readonly name: string;
  readonly mac: string;
}

/** Makes a veth pair directly inside the two namespaces, addresses it and brings it up. */
export async function makeLink(a: Namespace, b: Namespace, options: LinkOptions): Promise<[End, End]> {
  const { a: endA = {}, b: endB = {}, mtu = 1500, queues = 1 } = options;
  const nameA = endA.name ?? (await freeName(a));
  const nameB = endB.name ?? (a === b ? `${nameA}p` : await freeName(b));
  const common = `mtu ${mtu} numrxqueues ${queues} numtxqueues ${queues}`;
  const mac = (end: EndOptions) => (end.mac ? `address ${end.mac}` : '');
  await a.ip(
    `link add name ${nameA} ${mac(endA)} ${common} type veth ` +
      `peer name ${nameB} ${mac(endB)} ${common} netns ${b.pid}`,
  );
  return [await raise(a, nameA, endA), await raise(b, nameB, endB)];
}

async function raise(namespace: Namespace, name: string, { addresses = [] }: EndOptions): Promise<End> {
  await namespace.ip(...addresses.map((address) => `address add ${address} dev ${name}`), `link set ${name} up`);
  const [link] = await namespace.ipJson('link', 'show', 'dev', name);
  return { namespace, name, mac: String(link.address) };
}

async function freeName(namespace: Namespace): Promise<string> {
  const taken = new Set((await namespace.ipJson('link', 'show')).map((link) => link.ifname));
  for (let index = 0; ; index++) {
    if (!taken.has(`eth${index}`)) return `eth${index}`;
  }
}
