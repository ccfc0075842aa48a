import { Arena } from '@lbd/memory';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type StickyFlow, stickyHash, stickyPorts } from './hash.ts';
import { kernelsOf } from './kernels.ts';
import { StickyTable } from './sticky-table.ts';

const MOST = 2 ** 16;
const arena = Arena.create(2 ** 25);
const kernels = kernelsOf(arena.memory);
const { u8, u32 } = arena.memory;
const at = arena.allocate('secret, addresses and constants', 128);
const [sources, portWords, hashes] = ['sources', 'ports', 'hashes'].map((label) => arena.allocate(label, MOST * 4)) as [
  number,
  number,
  number,
];
const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i * 41 + 7);

const word = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** As the kernels hash it, one packet at a time. */
function kernelHash(secret: Uint8Array, { source, destination, ports }: StickyFlow): number {
  u8.set(secret, at);
  if (source.length === 4) return kernels.hash4(at, word(source), word(destination), ports) >>> 0;
  u8.set(source, at + 16);
  u8.set(destination, at + 32);
  return kernels.hash6(at, at + 16, at + 32, ports) >>> 0;
}

const secret = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ports = fc.integer({ min: 0, max: 0xffffffff });
const flow = (length: 4 | 16): fc.Arbitrary<StickyFlow> => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: length, maxLength: length }),
    fc.constantFrom(new Uint8Array(length), new Uint8Array(length).fill(255)),
  );
  return fc.record({ source: address, destination: address, ports });
};

describe('the hash of flows', () => {
  it.each([4, 16] as const)('is the same in kernels and in TypeScript: addresses of %i bytes', (length) => {
    fc.assert(
      fc.property(secret, flow(length), (key, f) => {
        expect(kernelHash(key, f)).toBe(stickyHash(key, f));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same of four at a time', () => {
    const some = fc.array(flow(4), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(secret, some, (key, flows) => {
        const { destination } = flows[0]!;
        u8.set(key, at);
        u32.set(
          flows.map(({ source }) => word(source)),
          sources / 4,
        );
        u32.set(
          flows.map((f) => f.ports),
          portWords / 4,
        );
        kernels.hashes4(at, word(destination), sources, portWords, hashes, flows.length, at + 64);
        expect([...u32.subarray(hashes / 4, hashes / 4 + flows.length)]).toEqual(
          flows.map((f) => stickyHash(key, { ...f, destination })),
        );
      }),
    );
  });

  it('takes the ports as they lie in the header', () => {
    expect(stickyPorts(0x1234, 0xabcd)).toBe(word(Uint8Array.of(0x12, 0x34, 0xab, 0xcd)));
  });

  it('refuses secrets and addresses of other lengths', () => {
    const [four, six] = [new Uint8Array(4), new Uint8Array(16)];
    const refused = expect.objectContaining({ code: 'LBD_STICKY_OPTIONS' });
    expect(() => stickyHash(four, { source: four, destination: four, ports: 0 })).toThrow(refused);
    expect(() => stickyHash(SECRET, { source: four, destination: six, ports: 0 })).toThrow(refused);
    expect(() => stickyHash(SECRET, { source: SECRET.subarray(1), destination: SECRET.subarray(1), ports: 0 })).toThrow(
      refused,
    );
  });
});

/** Random words (Marsaglia's xorshift32), the same each time. */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

// Bytes in network order.
const bytes = (...numbers: number[]) => Uint8Array.from(numbers.flatMap((n) => [n >>> 24, n >>> 16, n >>> 8, n]));
const VIP4 = bytes(0x5a000001);
const VIP6 = bytes(0x20010db8, 0x90, 0, 1);
const flow4 = (source: number, sport = 40000, dport = 80): StickyFlow => ({
  source: bytes(source),
  destination: VIP4,
  ports: stickyPorts(sport, dport),
});
/** Of 256 VIPs, those that follow each other. */
const toVip4 = (n: number, f: StickyFlow): StickyFlow => ({ ...f, destination: bytes(0x5a000001 + (n & 255)) });
const toVip6 = (n: number, f: StickyFlow): StickyFlow => ({ ...f, destination: bytes(0x20010db8, 0x90, 0, n & 255) });
const flow6 = (high: number, low: number, sport = 40000): StickyFlow => ({
  source: bytes(0x20010db8, 0x77, high, low),
  destination: VIP6,
  ports: stickyPorts(sport, 80),
});

/** How flows differ, by number. */
const PATTERNS: Readonly<Record<string, (n: number, next: () => number) => StickyFlow>> = {
  'one client, one port after the other': (n) => flow4(0x01020304, n),
  'one client, all destination ports': (n) => flow4(0x01020304, 40000, n),
  'one client, every second port': (n) => flow4(0x01020304 + (n >>> 15), (n * 2) & 0xffff),
  'one address after the other': (n) => flow4(0x0a000000 + n),
  'an address of each /24': (n) => flow4((n << 8) + 1),
  'an address of each /16': (n) => flow4((n << 16) + 1),
  'some addresses, some ports': (n) => flow4(0x0a000000 + (n >>> 8), 1024 + (n & 255)),
  'address and port counting together': (n) => flow4(0x0a000000 + n, 1024 + (n & 0x7fff)),
  'one address after the other, to VIPs in turn': (n) => toVip4(n, flow4(0x0a000000 + n)),
  'each address to each VIP': (n) => toVip4(n, flow4(0x0a000000 + (n >>> 8))),
  'each address to each VIP, without ports': (n) => ({ ...toVip4(n, flow4(0x0a000000 + (n >>> 8))), ports: 0 }),
  'without ports': (n) => ({ ...flow4(0x0a000000 + n), ports: 0 }),
  random: (_, next) => flow4(next(), next() & 0xffff),
  'IPv6: one client, one port after the other': (n) => flow6(0, 1, n),
  'IPv6: one address of a /64 after the other': (n) => flow6(0, n),
  'IPv6: random addresses of a /64': (_, next) => flow6(next(), next()),
  'IPv6: an address of each /64': (n) => ({ ...flow6(0, 1), source: bytes(0x20010db8, n, 0, 1) }),
  'IPv6: some addresses, some ports': (n) => flow6(0, n >>> 8, 1024 + (n & 255)),
  'IPv6: 64 addresses of each of 1,024 /64, without ports': (n) => ({
    ...flow6(0, 0),
    source: bytes(0x20010db8, n >>> 6, 0, n & 63),
    ports: 0,
  }),
  'IPv6: one address after the other, to VIPs in turn': (n) => toVip6(n, flow6(0, n)),
  'IPv6: each address to each VIP': (n) => toVip6(n, flow6(0, n >>> 8)),
  'IPv6: each address to each VIP, without ports': (n) => ({ ...toVip6(n, flow6(0, n >>> 8)), ports: 0 }),
  'IPv6: without ports': (n) => ({ ...flow6(0, n), ports: 0 }),
};
const SECRETS = [SECRET, new Uint8Array(16)];

describe.each(Object.entries(PATTERNS))('flows that differ in one way: %s', (_, flowOf) => {
  const hashesOf = (key: Uint8Array) => {
    const next = random(12345);
    return Uint32Array.from({ length: MOST }, (_, n) => kernelHash(key, flowOf(n, next)));
  };
  let hashesBySecret: Uint32Array[];
  beforeAll(() => {
    hashesBySecret = SECRETS.map(hashesOf);
  });

  it('spread over buckets as by chance', () => {
    for (const all of hashesBySecret) {
      for (const buckets of [1024, MOST]) {
        const flows = new Uint32Array(buckets);
        for (const hash of all.slice(0, buckets)) flows[hash & (buckets - 1)]!++;
        // One flow a bucket: of the buckets, a share of e^-1 / k! should have k of them (Poisson).
        const classes = [0, 0, 0, 0, 0];
        for (const n of flows) classes[Math.min(n, 4)]!++;
        const shares = [1, 1, 1 / 2, 1 / 6].map((share) => share / Math.E);
        shares.push(1 - shares.reduce((sum, share) => sum + share));
        shares.forEach((share, k) => {
          // Within six standard deviations of what chance gives; spread more evenly than that is well, too.
          const spread = 6 * Math.sqrt(buckets * share * (1 - share));
          if (k === 0 || k >= 3) expect(classes[k]! - buckets * share).toBeLessThan(spread);
        });
      }
    }
  });

  it('find a place, but less than one of a thousand, at a flow a bucket', () => {
    for (const all of hashesBySecret) {
      const table = StickyTable.create(arena, { buckets: MOST });
      const counters = arena.allocate('counters', 64);
      u32.set(all, hashes / 4);
      u32.fill(1, portWords / 4, portWords / 4 + MOST);
      // VIP, server and result: the same for all
      table.lookup({ hashes, vips: portWords, newflow: portWords, out: portWords, count: MOST, counters }, 1000);
      const [existing, first, untracked] = [0, 1, 2].map((i) => Number(arena.memory.u64[counters / 8 + i])) as [
        number,
        number,
        number,
      ];
      expect(existing + first + untracked).toBe(MOST);
      expect(untracked / MOST).toBeLessThan(0.001);
      // Flows with one hash share an entry: by chance, half a pair of 65,536.
      expect(existing).toBeLessThan(6);
      table.free(arena);
      arena.free(counters);
    }
  });
});

// Who does not know the secret can choose how two flows differ, and no more.
describe('two flows that differ in a way that was chosen', () => {
  const SECRETS = 64;
  const bits = Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0);
  const inPorts = [0, ...bits, ...bits.flatMap((one, i) => bits.slice(i + 1).map((other) => (one | other) >>> 0))];
  /** How many of them have one hash. */
  const alike = (flows: (next: () => number) => StickyFlow, other: (source: Uint8Array) => Uint8Array) => {
    const next = random(4242);
    let count = 0;
    for (let i = 0; i < SECRETS; i++) {
      const key = Uint8Array.from({ length: 16 }, () => next() >>> 24);
      const f = flows(next);
      const hash = kernelHash(key, f);
      const source = other(f.source);
      for (const more of inPorts) {
        if (kernelHash(key, { ...f, source, ports: (f.ports ^ more) >>> 0 }) === hash) count++;
      }
    }
    return count;
  };
  const some = (length: number) => (next: () => number) => ({
    source: Uint8Array.from({ length }, () => next() >>> 24),
    destination: Uint8Array.from({ length }, () => next() >>> 24),
    ports: next(),
  });

  it.each([4, 16])(
    'do not have one hash: a bit of an address of %i bytes, and up to two of the ports',
    (length) => {
      for (let bit = 0; bit < length * 8; bit++) {
        const flipped = (source: Uint8Array) =>
          source.map((byte, i) => (i === bit >>> 3 ? byte ^ (1 << (bit & 7)) : byte));
        expect(alike(some(length), flipped), `bit ${bit}`).toBe(0);
      }
    },
    60_000,
  );

  it('do not have one hash: two bits of an IPv6 source', () => {
    for (let bit = 0; bit < 128; bit++) {
      for (let other = bit + 1; other < 128; other++) {
        const next = random(bit * 128 + other + 1);
        for (let i = 0; i < 8; i++) {
          const key = Uint8Array.from({ length: 16 }, () => next() >>> 24);
          const f = some(16)(next);
          const source = f.source.map((byte, n) => {
            const bits = [bit, other].filter((one) => one >>> 3 === n).map((one) => 1 << (one & 7));
            return bits.reduce((sum, one) => sum ^ one, byte);
          });
          expect(kernelHash(key, { ...f, source }), `bits ${bit} and ${other}`).not.toBe(kernelHash(key, f));
        }
      }
    }
  });

  it('do not have one hash: halves of IPv6 sources that would make up for each other without the secret', () => {
    const [high, low] = [0x9e3779b97f4a7c15n, 0xd6e8feb86659fd93n];
    const shifted = (source: Uint8Array) => {
      const bytes = Uint8Array.from(source);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(0, view.getBigUint64(0, true) + low, true);
      view.setBigUint64(8, view.getBigUint64(8, true) - high, true);
      return bytes;
    };
    expect(alike(some(16), shifted)).toBe(0);
  });
});

describe('a bit of a flow', () => {
  const RUNS = 2048;
  it.each([4, 16] as const)('changes each bit of the hash about half of the times: addresses of %i bytes', (length) => {
    const next = random(777);
    const address = () => Uint8Array.from({ length }, () => next() >>> 24);
    const flows = Array.from({ length: RUNS }, () => ({ source: address(), destination: address(), ports: next() }));
    const before = flows.map((f) => kernelHash(SECRET, f));
    const flipped = (of: Uint8Array, bit: number) =>
      of.map((byte, i) => (i === bit >>> 3 ? byte ^ (1 << (bit & 7)) : byte));
    const changes: ((f: StickyFlow) => StickyFlow)[] = [];
    for (let bit = 0; bit < 32; bit++) changes.push((f) => ({ ...f, ports: (f.ports ^ (1 << bit)) >>> 0 }));
    for (let bit = 0; bit < length * 8; bit++) {
      changes.push((f) => ({ ...f, source: flipped(f.source, bit) }));
      changes.push((f) => ({ ...f, destination: flipped(f.destination, bit) }));
    }
    for (const change of changes) {
      const times = new Uint32Array(32);
      flows.forEach((f, i) => {
        const differ = kernelHash(SECRET, change(f)) ^ before[i]!;
        for (let bit = 0; bit < 32; bit++) times[bit]! += (differ >>> bit) & 1;
      });
      for (const n of times) expect(Math.abs(n / RUNS - 0.5)).toBeLessThan(0.08);
    }
  });

  it('of the secret changes each bit of the hash half of the times', () => {
    const next = random(99);
    for (const length of [4, 16]) {
      // IPv4 needs the first half of the secret only.
      for (let bit = 0; bit < length * 8; bit++) {
        let changed = 0;
        for (let i = 0; i < 512; i++) {
          const key = Uint8Array.from({ length: 16 }, () => next() >>> 24);
          const f = {
            source: new Uint8Array(length).fill(9),
            destination: new Uint8Array(length).fill(5),
            ports: next(),
          };
          const before = kernelHash(key, f);
          key[bit >>> 3]! ^= 1 << (bit & 7);
          for (let x = kernelHash(key, f) ^ before; x !== 0; x &= x - 1) changed++;
        }
        expect(Math.abs(changed / 512 / 32 - 0.5)).toBeLessThan(0.06);
      }
    }
  });
});
