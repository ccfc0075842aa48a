import { META_L4, META_LENGTH, META_PROTOCOL } from '@lbd/graph';
import { Memory } from '@lbd/memory';
import { addressText } from '@lbd/packet';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileTestKernels, scapy, type TestKernels } from '../test/test-kernels.ts';

/** What an ICMP error says of the flow that it is about. */
interface Quotation {
  readonly ip: number;
  readonly l4: number;
  readonly protocol: number;
  /** Client's port and the VIP's, if they are known. */
  readonly ports: readonly [number, number] | undefined;
  readonly client: string;
  readonly vip: string;
  /** The error went to the VIP. */
  readonly back: boolean;
}

const META = 1024;
const OUT = 2048;

/** A memory whose end is the packet's: what looks past it traps. */
class Bench {
  readonly memory = new Memory(new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true }));
  readonly kernels: TestKernels;

  constructor(module: WebAssembly.Module) {
    this.kernels = this.memory.instantiate(module) as unknown as TestKernels;
  }

  quotation(bytes: Uint8Array, l4: number, protocol: number): Quotation | undefined {
    const { u8, u16, view } = this.memory;
    const ip = u8.length - bytes.length;
    u8.set(bytes, ip);
    u16[(META + META_LENGTH) >>> 1] = bytes.length;
    u16[(META + META_L4) >>> 1] = l4;
    u8[META + META_PROTOCOL] = protocol;
    if (!this.kernels.quotation(ip, META, OUT)) return undefined;
    const word = (offset: number) => view.getUint32(OUT + offset, true);
    const size = bytes[0]! >> 4 === 4 ? 4 : 16;
    const address = (i: number) => addressText(u8.slice(OUT + 24 + i * size, OUT + 24 + (i + 1) * size));
    const ports = [view.getUint16(OUT + 16), view.getUint16(OUT + 18)] as const;
    if (word(12) === 0) expect(word(16)).toBe(0);
    return {
      ip: word(0),
      l4: word(4),
      protocol: word(8),
      ports: word(12) === 0 ? undefined : ports,
      client: address(0),
      vip: address(1),
      back: word(20) === 1,
    };
  }
}

let bench: Bench;
beforeAll(() => {
  bench = new Bench(compileTestKernels());
}, 60_000);

// ---- The same, from the RFCs, in another way: by slices, and with exceptions where something is missing -----------------

class Missing extends Error {}

function parse(bytes: Uint8Array, l4: number, protocol: number): Quotation | undefined {
  try {
    const four = bytes[0]! >> 4 === 4;
    const [type] = take(bytes.subarray(l4), 8);
    if (protocol !== (four ? 1 : 58) || !(four ? [3, 11, 12] : [1, 2, 3, 4]).includes(type!)) return undefined;
    const quoted = bytes.subarray(l4 + 8);
    const inner = four ? inner4(quoted) : inner6(quoted);
    const [source, destination] = four ? [12, 16, 20] : [8, 24, 40];
    const size = four ? 4 : 16;
    const vip = quoted.subarray(source, source! + size);
    const behind = quoted.subarray(inner.at);
    const ports = [6, 17].includes(inner.protocol) && behind.length >= 4;
    return {
      ip: l4 + 8,
      l4: l4 + 8 + inner.at,
      protocol: inner.protocol,
      ports: ports ? [behind[2]! * 256 + behind[3]!, behind[0]! * 256 + behind[1]!] : undefined,
      client: addressText(quoted.slice(destination, destination! + size)),
      vip: addressText(vip.slice()),
      back: Buffer.compare(vip, bytes.subarray(destination, destination! + size)) === 0,
    };
  } catch (error) {
    if (error instanceof Missing) return undefined;
    throw error;
  }
}

function take(bytes: Uint8Array, n: number): Uint8Array {
  if (bytes.length < n) throw new Missing();
  return bytes.subarray(0, n);
}

function inner4(quoted: Uint8Array): { at: number; protocol: number } {
  const fixed = take(quoted, 20);
  const at = (fixed[0]! % 16) * 4;
  if (fixed[0]! >> 4 !== 4 || at < 20) throw new Missing();
  take(quoted, at);
  const offset = (fixed[6]! % 32) * 256 + fixed[7]!;
  return { at, protocol: offset === 0 ? fixed[9]! : 255 };
}

function inner6(quoted: Uint8Array): { at: number; protocol: number } {
  const fixed = take(quoted, 40);
  if (fixed[0]! >> 4 !== 6) throw new Missing();
  let next = fixed[6]!;
  let at = 40;
  const sizes: Record<number, (length: number) => number> = {
    0: (n) => 8 + n * 8,
    43: (n) => 8 + n * 8,
    44: () => 8,
    51: (n) => 8 + n * 4,
    60: (n) => 8 + n * 8,
  };
  for (let headers = 0; sizes[next]; headers++) {
    if (headers === 8) throw new Missing();
    const head = take(quoted.subarray(at), 8);
    const size = sizes[next]!(head[1]!);
    const later = next === 44 && head[2]! * 256 + head[3]! >= 8;
    take(quoted.subarray(at), size);
    at += size;
    if (later) return { at, protocol: 255 };
    next = head[0]!;
  }
  return { at, protocol: next };
}

// ---- Packets -------------------------------------------------------------------------------------------------------------

const some = (max: number) => fc.uint8Array({ maxLength: max });
const bytesOf = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
const protocol = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(6, 17) },
  fc.constantFrom(1, 58, 47, 59),
  fc.nat(255),
);
const offset = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.constantFrom(1, 7, 8, 0x1fff), fc.nat(0xffff));

const quoted4 = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 5, max: 15 }) }, fc.nat(15)),
    offset,
    protocol,
    bytesOf(8),
    bytesOf(60),
  )
  .map(([ihl, fragment, proto, addresses, rest]) =>
    Uint8Array.of(0x40 | ihl, 0, 0, 0, 0, 0, fragment >> 8, fragment & 255, 9, proto, 0, 0, ...addresses, ...rest),
  );
const extension = fc.record({
  type: fc.constantFrom(0, 43, 44, 51, 60),
  length: fc.oneof(fc.nat(2), fc.nat(255)),
  offset,
});
const quoted6 = fc
  .tuple(fc.array(extension, { maxLength: 10, size: 'small' }), protocol, bytesOf(32), some(40))
  .map(([extensions, proto, addresses, rest]) => {
    const headers = extensions.flatMap(({ type, length, offset: at }, i) => {
      const size = type === 44 ? 8 : type === 51 ? 8 + length * 4 : 8 + length * 8;
      const next = extensions[i + 1]?.type ?? proto;
      return [next, length, at >> 8, at & 255, ...new Array<number>(size - 4).fill(44)];
    });
    return Uint8Array.of(0x60, 0, 0, 0, 0, 0, extensions[0]?.type ?? proto, 9, ...addresses, ...headers, ...rest);
  });
const type = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(3, 1, 2, 3, 4, 11, 12) },
  { weight: 1, arbitrary: fc.nat(255) },
);

/** ICMP errors of a kind, cut anywhere, some of them back to who sent what they quote. */
const error = fc
  .tuple(
    fc.boolean(),
    type,
    fc.boolean(),
    bytesOf(32),
    fc.nat(40),
    some(1200),
    fc.oneof({ weight: 2, arbitrary: fc.constant(9999) }, fc.nat(300)),
  )
  .chain(([four, icmpType, back, addresses, options, noise, cut]) =>
    fc
      .oneof({ weight: 9, arbitrary: four ? quoted4 : quoted6 }, { weight: 1, arbitrary: fc.constant(noise) })
      .map((quoted) => {
        const extra = four ? new Array<number>(options & ~3).fill(1) : [];
        const size = four ? 4 : 16;
        const to = back ? quoted.slice(four ? 12 : 8, (four ? 12 : 8) + size) : addresses.slice(16, 16 + size);
        const fixed = four
          ? [0x45, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, ...addresses.subarray(0, 4), ...to]
          : [0x60, 0, 0, 0, 0, 0, 58, 9, ...addresses.subarray(0, 16), ...to];
        const whole = Uint8Array.of(...fixed, ...extra, icmpType, 0, 0, 0, 0, 0, 0, 0, ...quoted);
        const l4 = fixed.length + extra.length;
        return { bytes: whole.slice(0, Math.max(l4, Math.min(whole.length, l4 + cut))), l4, protocol: four ? 1 : 58 };
      }),
  );

describe('what an ICMP error is about', () => {
  it('is read as another parser reads it, and nothing past the packet is', () => {
    let read = 0;
    fc.assert(
      fc.property(error, ({ bytes, l4, protocol: proto }) => {
        const expected = parse(bytes, l4, proto);
        expect(bench.quotation(bytes, l4, proto)).toEqual(expected);
        if (expected?.ports) read++;
      }),
      { numRuns: 3000 },
    );
    expect(read).toBeGreaterThan(100);
  });

  it('is not looked for in random bytes further than they go', () => {
    const packet = fc.record({
      bytes: fc.uint8Array({ minLength: 20, maxLength: 400 }),
      l4: fc.nat(400),
      protocol: fc.constantFrom(1, 58, 6, 255),
    });
    fc.assert(
      fc.property(packet, ({ bytes, l4, protocol: proto }) => {
        expect(bench.quotation(bytes, l4, proto)).toEqual(l4 + 8 > bytes.length ? undefined : parse(bytes, l4, proto));
      }),
      { numRuns: 3000 },
    );
  });

  const TO_VIP = `IP(src='192.0.2.9', dst='10.1.1.1')`;
  const TO_VIP6 = `IPv6(src='2001:db8:9::9', dst='2001:db8::1')`;
  const REPLY = `src='10.1.1.1', dst='203.0.113.7'`;
  const REPLY6 = `src='2001:db8::1', dst='2001:db8:c::7'`;
  const flow = { protocol: 17, ports: [1024, 80], client: '203.0.113.7', vip: '10.1.1.1', back: true };
  const flow6 = { ...flow, client: '2001:db8:c::7', vip: '2001:db8::1' };
  const cases: Array<[string, string, object | undefined]> = [
    ['unreachable', `${TO_VIP}/ICMP(type=3, code=3)/IP(${REPLY})/UDP(sport=80, dport=1024)/b'abc'`, flow],
    [
      'fragmentation needed, 8 bytes quoted',
      `${TO_VIP}/ICMP(type=3, code=4)/IP(${REPLY}, proto=6)/bytes(TCP(sport=80, dport=1024))[:8]`,
      { ...flow, protocol: 6 },
    ],
    [
      'time exceeded, options in both',
      `IP(src='192.0.2.9', dst='10.1.1.1', options=b'\\x01' * 8)/ICMP(type=11)/IP(${REPLY}, options=b'\\x01' * 12)/UDP(sport=80, dport=1024)`,
      flow,
    ],
    ['parameter problem', `${TO_VIP}/ICMP(type=12)/IP(${REPLY})/UDP(sport=80, dport=1024)`, flow],
    [
      'about a first fragment',
      `${TO_VIP}/ICMP(type=11, code=1)/IP(${REPLY}, flags='MF')/UDP(sport=80, dport=1024)`,
      flow,
    ],
    [
      'about a later fragment',
      `${TO_VIP}/ICMP(type=3)/IP(${REPLY}, frag=100)/UDP(sport=80, dport=1024)`,
      { ...flow, protocol: 255, ports: undefined },
    ],
    [
      'about another protocol',
      `${TO_VIP}/ICMP(type=3)/IP(${REPLY})/ICMP()`,
      { ...flow, protocol: 1, ports: undefined },
    ],
    [
      'about a packet of another',
      `${TO_VIP}/ICMP(type=3)/IP(src='10.1.1.2', dst='203.0.113.7')/UDP(sport=80, dport=1024)`,
      { ...flow, vip: '10.1.1.2', back: false },
    ],
    ['source quench, RFC 6633', `${TO_VIP}/ICMP(type=4)/IP(${REPLY})/UDP(sport=80, dport=1024)`, undefined],
    ['redirect', `${TO_VIP}/ICMP(type=5)/IP(${REPLY})/UDP(sport=80, dport=1024)`, undefined],
    ['echo request', `${TO_VIP}/ICMP(type=8)/IP(${REPLY})/UDP(sport=80, dport=1024)`, undefined],
    ['a quotation of 19 bytes', `${TO_VIP}/ICMP(type=3)/bytes(IP(${REPLY}))[:19]`, undefined],
    ['IPv6: unreachable', `${TO_VIP6}/ICMPv6DestUnreach()/IPv6(${REPLY6})/UDP(sport=80, dport=1024)`, flow6],
    [
      'IPv6: packet too big',
      `${TO_VIP6}/ICMPv6PacketTooBig()/IPv6(${REPLY6})/TCP(sport=80, dport=1024)`,
      { ...flow6, protocol: 6 },
    ],
    [
      'IPv6: about a packet of a neighbour',
      `${TO_VIP6}/ICMPv6PacketTooBig()/IPv6(src='2001:db8::2', dst='2001:db8:c::7')/UDP(sport=80, dport=1024)`,
      { ...flow6, vip: '2001:db8::2', back: false },
    ],
    [
      'IPv6: time exceeded, extension headers',
      `${TO_VIP6}/ICMPv6TimeExceeded()/IPv6(${REPLY6})/IPv6ExtHdrHopByHop(options=[PadN(optdata=b'x' * 20)])/IPv6ExtHdrRouting(addresses=['::1'])/IPv6ExtHdrDestOpt()/UDP(sport=80, dport=1024)`,
      flow6,
    ],
    [
      'IPv6: parameter problem',
      `${TO_VIP6}/IPv6ExtHdrHopByHop()/ICMPv6ParamProblem()/IPv6(${REPLY6})/UDP(sport=80, dport=1024)`,
      flow6,
    ],
    [
      'IPv6: about a first fragment',
      `${TO_VIP6}/ICMPv6TimeExceeded(code=1)/IPv6(${REPLY6})/IPv6ExtHdrFragment(m=1)/UDP(sport=80, dport=1024)`,
      flow6,
    ],
    [
      'IPv6: about a later fragment',
      `${TO_VIP6}/ICMPv6TimeExceeded()/IPv6(${REPLY6})/IPv6ExtHdrFragment(offset=9)/UDP(sport=80, dport=1024)`,
      { ...flow6, protocol: 255, ports: undefined },
    ],
    ['IPv6: echo request', `${TO_VIP6}/ICMPv6EchoRequest()/IPv6(${REPLY6})/UDP(sport=80, dport=1024)`, undefined],
  ];
  let packets: Uint8Array[];
  beforeAll(() => {
    packets = scapy(`[${cases.map(([, expression]) => expression).join(', ')}]`);
  });

  it.each(cases.map(([name, , expected], i) => [name, i, expected] as const))('scapy: %s', (_, i, expected) => {
    const bytes = packets[i]!;
    const four = bytes[0]! >> 4 === 4;
    const l4 = four ? (bytes[0]! & 15) * 4 : bytes[6] === 0 ? 48 : 40;
    const found = bench.quotation(bytes, l4, four ? 1 : 58);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject(expected);
  });
});
