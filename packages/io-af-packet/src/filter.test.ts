import { attachFilter, NetlinkSocket } from '@lbd/native';
import { contains, parsePrefix } from '@lbd/packet';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildFilter, type Return, type Wanted } from './filter.ts';

/** Interprets classic BPF, as far as filters use it (bpf(4)); loads beyond the packet reject, as in the kernel. */
function run(program: Uint8Array, packet: Uint8Array, type = 0, vlan = 0): number {
  const view = new DataView(program.buffer);
  const data = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let a = 0;
  let x = 0;
  const m = new Uint32Array(16);
  for (let pc = 0; pc < program.length / 8; pc++) {
    const code = view.getUint16(pc * 8, true);
    const [jt, jf, k] = [program[pc * 8 + 2]!, program[pc * 8 + 3]!, view.getUint32(pc * 8 + 4, true)];
    const fits = (bytes: number, at = k): boolean => at + bytes <= packet.length;
    if (code === 0x20 && k === 0xfffff004) a = type;
    else if (code === 0x20 && k === 0xfffff030) a = vlan;
    else if (code === 0x20 || code === 0x40) {
      const at = code === 0x20 ? k : k + x;
      if (!fits(4, at)) return 0;
      a = data.getUint32(at);
    } else if (code === 0x28 || code === 0x48) {
      const at = code === 0x28 ? k : k + x;
      if (!fits(2, at)) return 0;
      a = data.getUint16(at);
    } else if (code === 0x30 || code === 0x50) {
      const at = code === 0x30 ? k : k + x;
      if (!fits(1, at)) return 0;
      a = packet[at]!;
    } else if (code === 0xb1) x = 4 * (packet[k]! & 15);
    else if (code === 0x00) a = k;
    else if (code === 0x02) m[k] = a;
    else if (code === 0x60) a = m[k]!;
    else if (code === 0x61) x = m[k]!;
    else if (code === 0x07) x = a;
    else if (code === 0x0c) a = (a + x) >>> 0;
    else if (code === 0x4c) a = (a | x) >>> 0;
    else if (code === 0xac) a = (a ^ x) >>> 0;
    else if (code === 0x64) a = (a << k) >>> 0;
    else if (code === 0x54) a = (a & k) >>> 0;
    else if (code === 0x05) pc += k;
    else if (code === 0x15) pc += a === k ? jt : jf;
    else if (code === 0x45) pc += (a & k) !== 0 ? jt : jf;
    else if (code === 0x06) return k;
    else throw new Error(`code ${code}`);
  }
  throw new Error('fell off the end');
}

interface Fields {
  readonly six: boolean;
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly port: number;
  readonly options: number;
  readonly fragment: number;
}

/** Few different addresses, so that rules and packets meet. */
const address = (six: boolean, n: number): string =>
  six ? `2001:db8:${n & 3}:0:${(n >> 2) & 3}::${n >> 4}` : `10.${n & 3}.${(n >> 2) & 3}.${n >> 4}`;

function build({ six, source, destination, protocol, port, options, fragment }: Fields): Uint8Array {
  const packet = new Uint8Array(120).fill(0xa5);
  const view = new DataView(packet.buffer);
  const [from, to] = [source, destination].map((n) => parsePrefix(address(six, n)).bytes) as [Uint8Array, Uint8Array];
  view.setUint16(12, six ? 0x86dd : 0x0800);
  if (six) {
    packet[14] = 0x60;
    packet[20] = protocol;
    packet.set(from, 22);
    packet.set(to, 38);
    view.setUint16(54, port);
    return packet;
  }
  packet[14] = 0x45 + options;
  view.setUint16(20, fragment);
  packet[23] = protocol;
  packet.set(from, 26);
  packet.set(to, 30);
  view.setUint16(34 + options * 4, port);
  return packet;
}

const protocols = fc.constantFrom(6, 17);
const ports = fc.constantFrom(80, 443, 8080);
const fields = fc.record({
  six: fc.boolean(),
  source: fc.nat(63),
  destination: fc.nat(63),
  protocol: protocols,
  port: ports,
  options: fc.nat(10),
  fragment: fc.constantFrom(0, 0, 0x4000, 0x2000, 0x2001, 0x0005),
});
const prefixes = fc.array(
  fc
    .tuple(fc.boolean(), fc.nat(63), fc.nat(128))
    .map(([six, n, bits]) => `${address(six, n)}/${six ? bits : bits >> 2}`),
  { maxLength: 6 },
);
const returns = fc.array(
  fc
    .tuple(fc.boolean(), fc.nat(63), protocols, ports)
    .map(([six, n, protocol, port]): Return => ({ address: address(six, n), protocol, port })),
  { maxLength: 40 },
);

describe('buildFilter', () => {
  it('accepts what is wanted and nothing else', () => {
    fc.assert(
      fc.property(prefixes, returns, fc.array(fields, { minLength: 20, maxLength: 40 }), (wanted, back, packets) => {
        const program = buildFilter({ prefixes: wanted, returns: back });
        for (const packet of packets) {
          const { six, source, destination, protocol, port, fragment } = packet;
          const to = parsePrefix(address(six, destination)).bytes;
          const expected =
            wanted.some((prefix) => contains(parsePrefix(prefix), to)) ||
            back.some(
              (entry) =>
                entry.address === address(six, source) &&
                entry.protocol === protocol &&
                (entry.port === port || (!six && (fragment & 0x1fff) !== 0)),
            );
          expect(run(program, build(packet)) > 0).toBe(expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  const all = buildFilter({ prefixes: ['0.0.0.0/0', '::/0'], returns: [] });
  const packet = build({ six: false, source: 1, destination: 2, protocol: 6, port: 80, options: 0, fragment: 0 });

  it('leaves packets of other hosts, tagged ones, other protocols and truncated ones', () => {
    expect(run(all, packet)).toBeGreaterThanOrEqual(65536);
    for (const type of [1, 2, 3, 4]) expect(run(all, packet, type)).toBe(0);
    expect(run(all, packet, 0, 1)).toBe(0);
    expect(run(all, Uint8Array.from(packet).fill(0x88, 12, 14))).toBe(0);
    const narrow = buildFilter({ prefixes: ['10.0.0.0/8'], returns: [] });
    expect(run(narrow, packet.subarray(0, 20))).toBe(0);
  });

  it('accepts nothing when nothing is wanted', () => {
    expect(run(buildFilter({ prefixes: [], returns: [] }), packet)).toBe(0);
  });

  it('has room for a thousand servers, and says so when there is none', () => {
    const many = (n: number): Return[] =>
      Array.from({ length: n }, (_, i) => ({ address: `10.0.${i >> 8}.${i & 255}`, protocol: 6, port: 80 }));
    const program = buildFilter({ prefixes: [], returns: many(1950) });
    const last = build({ six: false, source: 0, destination: 0, protocol: 6, port: 80, options: 0, fragment: 0 });
    last.set([10, 0, 7, 157], 26);
    expect(run(program, last)).toBeGreaterThan(0);
    last.set([10, 0, 7, 158], 26);
    expect(run(program, last)).toBe(0);
    expect(() => buildFilter({ prefixes: [], returns: many(2100) })).toThrow(/the kernel takes 4096/);
  });
});

// Few addresses and ports, so that rules and packets meet: an address is 10.0.0.n or a00::n.
const [VIP, LOCAL, LOCAL_AND_SOURCE, SOURCE, SERVER] = [1, 2, 3, 4, 5];
const [NODE_PORT, TARGET_PORT] = [30080, 80];
const both = (...numbers: number[]): string[] => numbers.flatMap((n) => [`10.0.0.${n}`, `a00::${n}`]);
const WANTED: Wanted = {
  prefixes: both(VIP),
  returns: both(SERVER, LOCAL).map((from) => ({ address: from, protocol: 6, port: TARGET_PORT })),
  nodePorts: ([4, 6] as const).map((family) => ({ family, protocol: 6, port: NODE_PORT })),
  locals: both(LOCAL, LOCAL_AND_SOURCE),
  tunnelSources: both(SOURCE, LOCAL_AND_SOURCE),
};

interface Datagram {
  readonly from: number;
  readonly to: number;
  readonly protocol: number;
  /** Fragment offset in units of 8 bytes, more fragments, and (IPv6) whether there is a fragment header at all. */
  readonly offset: number;
  readonly more: boolean;
  readonly header: boolean;
  /** Of TCP and UDP: ports. */
  readonly ports: readonly [number, number];
  /** IPv4: words of options. */
  readonly options: number;
}
interface Message extends Datagram {
  /** Of ICMP: its type, and the datagram that it quotes. */
  readonly type: number;
  readonly about: Datagram;
}

/** What buildFilter says that it accepts. Whether the frame is long enough is looked at elsewhere. */
function accepted(six: boolean, p: Message): boolean {
  const isServer = (n: number): boolean => n === SERVER || n === LOCAL;
  const isLocal = p.to === LOCAL || p.to === LOCAL_AND_SOURCE;
  const icmp = six ? 58 : 1;
  const offset = six && !p.header ? 0 : p.offset;
  const more = six && !p.header ? false : p.more;
  if (p.to === VIP) return true;
  if (offset > 0) return p.protocol === 6 && (isLocal || isServer(p.from));
  if (p.protocol === 6) {
    const [source, destination] = p.ports;
    return (isLocal && destination === NODE_PORT) || (source === TARGET_PORT && isServer(p.from));
  }
  const errors = six ? [1, 2, 3, 4] : [3, 11, 12];
  const { about } = p;
  if (p.protocol !== icmp || more || !errors.includes(p.type) || (!six && about.offset > 0)) return false;
  const toSender = about.from === p.to;
  if (about.protocol === 6) {
    const [source, destination] = about.ports;
    return (isLocal && toSender && source === NODE_PORT) || (destination === TARGET_PORT && isServer(about.to));
  }
  const other = six ? [17, 58, 59] : [17, 1];
  return toSender && !other.includes(about.protocol) && (p.to === SOURCE || p.to === LOCAL_AND_SOURCE);
}

/** The datagram as bytes; `quoted` ones over IPv6 have no fragment header. */
function encodeIp(six: boolean, p: Datagram, payload: readonly number[], quoted = false): number[] {
  if (!six) {
    const bits = (p.more ? 0x2000 : 0) | p.offset;
    const fixed = [0x45 + p.options, 0, 0, 0, 0, 0, bits >> 8, bits & 0xff, 64, p.protocol, 0, 0];
    return [...fixed, 10, 0, 0, p.from, 10, 0, 0, p.to, ...Array(p.options * 4).fill(0), ...payload];
  }
  const header = p.header && !quoted;
  const bits = (p.offset << 3) | (p.more ? 1 : 0);
  const fragment = header ? [p.protocol, 0, bits >> 8, bits & 0xff, 0, 0, 0, 0] : [];
  const at = (n: number): number[] => [10, ...Array(14).fill(0), n];
  return [0x60, 0, 0, 0, 0, 0, header ? 44 : p.protocol, 64, ...at(p.from), ...at(p.to), ...fragment, ...payload];
}

function encodeFrame(six: boolean, p: Message): Uint8Array {
  const l4 = ({ ports: [source, destination] }: Datagram): number[] => [
    ...[source >> 8, source & 0xff, destination >> 8, destination & 0xff],
    ...Array(4).fill(0),
  ];
  const error = [p.type, ...Array(7).fill(0), ...encodeIp(six, p.about, l4(p.about), true)];
  const payload = p.protocol === (six ? 58 : 1) ? error : l4(p);
  return Uint8Array.from([...Array(12).fill(0), ...(six ? [0x86, 0xdd] : [8, 0]), ...encodeIp(six, p, payload)]);
}

const datagram = {
  from: fc.constantFrom(0, VIP, LOCAL, LOCAL_AND_SOURCE, SOURCE, SERVER),
  to: fc.constantFrom(0, VIP, LOCAL, LOCAL_AND_SOURCE, SOURCE, SERVER),
  offset: fc.constantFrom(0, 0, 0, 0, 0, 1, 0x1fff),
  more: fc.constantFrom(false, false, false, true),
  header: fc.boolean(),
  ports: fc.tuple(fc.constantFrom(NODE_PORT, TARGET_PORT, 22), fc.constantFrom(NODE_PORT, TARGET_PORT, 22)),
  options: fc.constantFrom(0, 0, 0, 1, 10),
};
const message: fc.Arbitrary<Message> = fc.record({
  ...datagram,
  protocol: fc.constantFrom(6, 17, 1, 58, 1, 58, 47),
  type: fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 11, 12, 128),
  about: fc.record({ ...datagram, protocol: fc.constantFrom(6, 6, 6, 17, 1, 58, 59, 47) }),
});

describe('the filter for node ports, tunnels and errors', () => {
  const program = buildFilter(WANTED);

  it('reads what is wanted once', () => {
    const iterators = Object.entries(WANTED).map(([key, entries]) => [key, new Set(entries).values()]);
    expect(buildFilter(Object.fromEntries(iterators) as Wanted)).toEqual(program);
  });

  it('accepts what a naive reading accepts, and nothing that ends before it is known', () => {
    let ours = 0;
    fc.assert(
      fc.property(fc.boolean(), message, fc.nat(200), (six, p, length) => {
        const frame = encodeFrame(six, p);
        const verdict = run(program, frame) > 0;
        ours += verdict ? 1 : 0;
        expect(verdict).toBe(accepted(six, p));
        // What is cut off is not taken for something else.
        if (!verdict) expect(run(program, frame.subarray(0, Math.max(14, length)))).toBe(0);
      }),
      { numRuns: 10_000 },
    );
    expect(ours).toBeGreaterThan(1500);
  });

  it('needs nothing behind the ports', () => {
    const plain = { from: 0, to: LOCAL, offset: 0, more: false, header: false, options: 0 };
    const about = { ...plain, from: LOCAL, to: 0, protocol: 6, ports: [NODE_PORT, 22] as const };
    for (const six of [false, true]) {
      const tcp = encodeFrame(six, { ...plain, protocol: 6, ports: [22, NODE_PORT], type: 0, about });
      const error = encodeFrame(six, { ...plain, protocol: six ? 58 : 1, ports: [0, 0], type: 3, about });
      for (const frame of [tcp, error]) {
        expect(run(program, frame.subarray(0, frame.length - 4))).toBeGreaterThan(0);
        expect(run(program, frame.subarray(0, frame.length - 5))).toBe(0);
      }
      // The quoted packet is of the error's family.
      error[14 + (six ? 40 : 20) + 8] ^= 0x20;
      expect(run(program, error)).toBe(0);
    }
  });

  it('is a program that the kernel takes', () => {
    const socket = new NetlinkSocket({ protocol: 0 });
    try {
      attachFilter(socket.fd, program);
      for (const part of ['nodePorts', 'tunnelSources', 'returns'] as const) {
        const { prefixes, locals } = WANTED;
        attachFilter(socket.fd, buildFilter({ prefixes, returns: [], locals, [part]: WANTED[part] } as Wanted));
      }
    } finally {
      socket.close();
    }
  });
});
