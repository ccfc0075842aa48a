import { contains, parsePrefix } from '@lbd/packet';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildFilter, type Return } from './filter.ts';

/** Interprets classic BPF, as far as filters use it (bpf(4)); loads beyond the packet reject, as in the kernel. */
function run(program: Uint8Array, packet: Uint8Array, type = 0, vlan = 0): number {
  const view = new DataView(program.buffer);
  const data = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let a = 0;
  let x = 0;
  for (let pc = 0; pc < program.length / 8; pc++) {
    const code = view.getUint16(pc * 8, true);
    const [jt, jf, k] = [program[pc * 8 + 2]!, program[pc * 8 + 3]!, view.getUint32(pc * 8 + 4, true)];
    const fits = (bytes: number, at = k): boolean => at + bytes <= packet.length;
    if (code === 0x20 && k === 0xfffff004) a = type;
    else if (code === 0x20 && k === 0xfffff030) a = vlan;
    else if (code === 0x20) {
      if (!fits(4)) return 0;
      a = data.getUint32(k);
    } else if (code === 0x28 || code === 0x48) {
      const at = code === 0x28 ? k : k + x;
      if (!fits(2, at)) return 0;
      a = data.getUint16(at);
    } else if (code === 0x30) {
      if (!fits(1)) return 0;
      a = packet[k]!;
    } else if (code === 0xb1) x = 4 * (packet[k]! & 15);
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

const protocols = fc.constantFrom(6, 17, 1);
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
    const program = buildFilter({ prefixes: [], returns: many(2000) });
    const last = build({ six: false, source: 0, destination: 0, protocol: 6, port: 80, options: 0, fragment: 0 });
    last.set([10, 0, 7, 207], 26);
    expect(run(program, last)).toBeGreaterThan(0);
    last.set([10, 0, 7, 208], 26);
    expect(run(program, last)).toBe(0);
    expect(() => buildFilter({ prefixes: [], returns: many(2100) })).toThrow(/the kernel takes 4096/);
  });
});
