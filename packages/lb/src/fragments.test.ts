import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  FLAG_FIRST_FRAGMENT,
  META_AS,
  META_FLAGS,
  META_HASH,
  META_L4,
  META_LENGTH,
  META_PROTOCOL,
  METADATA_BYTES,
} from '@lbd/graph';
import { Arena } from '@lbd/memory';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileTestKernels, scapy, type TestKernels } from '../test/test-kernels.ts';
import * as F from './fragment-layout.ts';
import { allocateFragments, forgetFragments } from './fragments.ts';
import { AS_SHIFT, LB_BYTES, LB_FRAGMENTS, LB_SERVERS } from './layout.ts';

let module: WebAssembly.Module;
beforeAll(() => {
  module = compileTestKernels();
}, 60_000);

/** The table, with a packet to ask about. */
class Table {
  readonly arena = Arena.create(8 * 1024 * 1024);
  readonly memory = this.arena.memory;
  readonly kernels = this.memory.instantiate(module) as unknown as TestKernels;
  readonly servers = this.arena.allocate('servers', 16 << AS_SHIFT);
  readonly lb = this.arena.allocate('block', LB_BYTES);
  readonly meta = this.arena.allocate('metadata', METADATA_BYTES);
  readonly ip = this.arena.allocate('packet', 2048);
  readonly table: number;

  constructor(entries: number) {
    this.table = allocateFragments(this.arena, 1, entries).table;
    this.memory.u32[(this.lb + LB_FRAGMENTS) >>> 2] = this.table;
    this.memory.u32[(this.lb + LB_SERVERS) >>> 2] = this.servers;
  }

  put(bytes: Uint8Array): void {
    this.memory.u8.fill(0xa5, this.ip, this.ip + 2048);
    this.memory.u8.set(bytes, this.ip);
    this.memory.u16[(this.meta + META_LENGTH) >>> 1] = bytes.length;
  }

  remember(bytes: Uint8Array, now: number, value: bigint): void {
    this.put(bytes);
    this.kernels.remember(this.lb, this.ip, this.meta, now, value);
  }

  find(bytes: Uint8Array, now: number): bigint {
    this.put(bytes);
    return BigInt.asUintN(64, this.kernels.find(this.lb, this.ip, this.meta, now));
  }

  rememberChoice(bytes: Uint8Array, now: number, as: number, hash: number): void {
    this.put(bytes);
    this.memory.u32[(this.meta + META_AS) >>> 2] = as;
    this.memory.u32[(this.meta + META_HASH) >>> 2] = hash;
    this.kernels.remember_choice(this.lb, this.ip, this.meta, now);
  }

  /** Server and hash. */
  findChoice(bytes: Uint8Array, now: number): [number, number] | undefined {
    this.put(bytes);
    const choice = BigInt.asUintN(64, this.kernels.find_choice(this.lb, this.ip, this.meta, now));
    return choice === 0n ? undefined : [Number((choice >> 32n) & 0xffffffn), Number(choice & 0xffffffffn)];
  }
}

interface Datagram {
  readonly family: 4 | 6;
  readonly source: number;
  readonly destination: number;
  readonly id: number;
  readonly protocol: number;
  readonly kind: 'encap' | 'choice';
}

/** A fragment, written down from RFC 791 and RFC 8200; the extension headers before the fragment header as given. */
function fragmentOf(d: Datagram, offset: number, extensions: readonly number[]): Uint8Array {
  const payload = new Array<number>(8).fill(7);
  if (d.family === 4) {
    const options = new Array<number>(extensions.length * 4).fill(1);
    const word = offset | 0x2000;
    const first = [0x45 + extensions.length, 0, 0, 28 + options.length, d.id >> 8, d.id & 0xff, word >> 8, word & 0xff];
    const addresses = [...[10, 0, 0, d.source], ...[10, d.destination, 0, 1]];
    return Uint8Array.of(...first, ...[64, d.protocol, 0, 0], ...addresses, ...options, ...payload);
  }
  const headers: number[] = [];
  extensions.forEach((type, i) => {
    const next = extensions[i + 1] ?? 44;
    // AH counts its length in words of four bytes, less two; the others in eight, less one.
    headers.push(next, type === 51 ? 4 : 1, ...new Array(type === 51 ? 22 : 14).fill(44));
  });
  headers.push(d.protocol, 0, (offset << 3) >> 8, ((offset << 3) & 0xff) | 1, 0, 1, d.id >> 8, d.id & 0xff);
  const wide = (n: number) => [0x20, 1, 0, 0, 0, 0, 0, n >> 1, 0, 0, 0, 0, 0, 0, 0, n & 1];
  const first = [0x60, 0, 0, 0, 0, headers.length + 8, extensions[0] ?? 44, 64];
  return Uint8Array.of(...first, ...wide(d.source), ...wide(d.destination), ...headers, ...payload);
}

const few = (n: number) => fc.integer({ min: 0, max: n - 1 });
const fields = {
  family: fc.constantFrom<4 | 6>(4, 6),
  // of IPv6 one bit for each half of an address
  source: few(4),
  destination: few(4),
  id: fc.constantFrom(1, 256),
  protocol: fc.constantFrom(6, 17),
  kind: fc.constantFrom<'encap' | 'choice'>('encap', 'choice'),
};
/** A few datagrams that differ in a thing or two. */
const datagrams: fc.Arbitrary<Datagram[]> = fc
  .tuple(fc.record(fields), fc.array(fc.record(fields, { requiredKeys: [] }), { minLength: 1, maxLength: 8 }))
  .map(([one, others]) => [one, ...others.map((other) => ({ ...one, ...other }))]);
const shape = fc.tuple(few(8), fc.array(fc.constantFrom(0, 43, 60, 51), { maxLength: 3 }));
const commandAbout = (datagram: fc.Arbitrary<Datagram>) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('remember' as const), datagram, shape, value: fc.nat() }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('find' as const), datagram, shape }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: few(7) }) },
  );
const commands = datagrams.chain((some) => fc.array(commandAbout(fc.constantFrom(...some)), { maxLength: 80 }));

/** A datagram's name. The next header is no part of it in IPv6: RFC 8200, section 4.5. */
const nameOf = (d: Datagram) => JSON.stringify(d.family === 4 ? d : { ...d, protocol: 0 });

/** What the table is to be: at most `room` datagrams, the oldest goes, each for FRAGMENT_SECONDS. */
class Model {
  readonly entries = new Map<string, { value: number; expiry: number }>();
  readonly room: number;
  constructor(room: number) {
    this.room = room;
  }

  remember(name: string, value: number, now: number): void {
    this.entries.delete(name);
    for (const [other, { expiry }] of this.entries) if (expiry <= now) this.entries.delete(other);
    if (this.entries.size === this.room) this.entries.delete([...this.entries.keys()][0]!);
    this.entries.set(name, { value, expiry: now + F.FRAGMENT_SECONDS });
  }

  find(name: string, now: number): number | undefined {
    const entry = this.entries.get(name);
    return entry && entry.expiry > now ? entry.value : undefined;
  }
}

describe('the fragment table', () => {
  it.each([
    ['exactly, with a single bucket', 4, true],
    ['never wrongly, with many', 64, false],
  ])('knows what a model knows: %s', (_, entries, exact) => {
    fc.assert(
      fc.property(commands, (list) => {
        const table = new Table(entries);
        const model = new Model(exact ? entries : Number.POSITIVE_INFINITY);
        let now = 1000;
        let remembered = 0;
        for (const c of list) {
          if (c.do === 'wait') {
            now += c.seconds;
            continue;
          }
          const { datagram: d } = c;
          const bytes = fragmentOf(d, ...c.shape);
          if (c.do === 'remember') {
            if (d.kind === 'encap') table.remember(bytes, now, BigInt(c.value) + 1n);
            else table.rememberChoice(bytes, now, 3, c.value);
            model.remember(nameOf(d), c.value, now);
            remembered++;
          } else {
            const choice = d.kind === 'choice' ? table.findChoice(bytes, now) : undefined;
            if (choice) expect(choice[0]).toBe(3);
            const value = d.kind === 'choice' ? choice?.[1] : Number(table.find(bytes, now)) - 1;
            const found = value === -1 ? undefined : value;
            const known = model.find(nameOf(d), now);
            if (exact || remembered <= 4) expect(found).toBe(known);
            else if (found !== undefined) expect(found).toBe(known);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('holds most of what there is room for', () => {
    const table = new Table(1024);
    const all = Array.from({ length: 512 }, (_, id) => fragmentOf({ ...usual, id }, 0, []));
    all.forEach((bytes, i) => {
      table.remember(bytes, 1, BigInt(i + 1));
    });
    const kept = all.filter((bytes, i) => table.find(bytes, 1) === BigInt(i + 1));
    expect(kept.length).toBeGreaterThan(460);
  });

  it.each([
    [
      'IPv4',
      `sum([fragment(IP(src='10.0.0.1', dst='10.0.0.2', id=i)/UDP(sport=i, dport=9)/data[:3000 + i], 1000) for i in range(1, 9)], [])`,
    ],
    [
      'IPv4 with options',
      `sum([fragment(IP(src='10.0.0.1', dst='10.0.0.2', id=i, options=b'\\x07\\x27\\x04' + b'\\0' * 37)/TCP()/data[:3000], 1000) for i in range(1, 9)], [])`,
    ],
    [
      'IPv6',
      `sum([fragment6(IPv6(src='2001:db8::1', dst='2001:db8::2')/IPv6ExtHdrFragment(id=i)/UDP()/data[:3000], 1200) for i in range(1, 9)], [])`,
    ],
    [
      'IPv6 with hop-by-hop options and a routing header',
      `sum([fragment6(IPv6(src='2001:db8::1', dst='2001:db8::2')/IPv6ExtHdrHopByHop(options=[PadN(optdata=b'x' * 20)])/IPv6ExtHdrRouting(addresses=['::1'])/IPv6ExtHdrFragment(id=i)/IPv6ExtHdrDestOpt()/UDP()/data[:3000], 1200) for i in range(1, 9)], [])`,
    ],
  ])('finds all fragments of a datagram that scapy makes: %s', (_, list) => {
    const packets = scapy(list);
    const n = packets.length / 8;
    expect(n).toBeGreaterThan(2);
    const table = new Table(256);
    // by the first, the last, or the one between
    for (let i = 0; i < 8; i++) table.remember(packets[i * n + (i % n)]!, 5, BigInt(i + 1));
    expect(packets.map((bytes) => Number(table.find(bytes, 6)))).toEqual(packets.map((_, i) => Math.floor(i / n) + 1));
  });

  it('remembers nothing of an IPv6 packet without a fragment header, or with it out of reach', () => {
    const table = new Table(64);
    const long = fragmentOf({ ...usual, family: 6 }, 0, new Array(8).fill(60));
    for (const bytes of [...scapy(`[IPv6()/UDP(), IPv6()/IPv6ExtHdrHopByHop()/TCP()]`), long, long.subarray(0, 60)]) {
      table.remember(bytes, 1, 1n);
      expect(table.find(bytes, 1)).toBe(0n);
    }
    expect(table.memory.u32[(table.table + F.FRAGMENTS_ADDED) >>> 2]).toBe(0);
  });

  it('forgets what was given to a server whose record is freed', () => {
    const table = new Table(64);
    const [a, b, c] = [1, 2, 3].map((id) => fragmentOf({ ...usual, id }, 0, []));
    table.rememberChoice(a!, 1, 5, 0xfffffff0);
    table.rememberChoice(b!, 1, 6, 0);
    table.rememberChoice(c!, 1, 0, 0);
    expect([a!, b!, c!].map((bytes) => table.findChoice(bytes, 1))).toEqual([
      [5, 0xfffffff0],
      [6, 0],
      [0, 0],
    ]);
    forgetFragments(table.memory, table.servers, 5);
    expect([a!, b!, c!].map((bytes) => table.findChoice(bytes, 1))).toEqual([undefined, [6, 0], [0, 0]]);
    table.rememberChoice(a!, 1, 5, 7);
    expect(table.findChoice(a!, 1)).toEqual([5, 7]);
  });

  it('refuses absurd sizes', () => {
    for (const entries of [0, 2, 6, -4, 4.5]) {
      expect(() => allocateFragments(Arena.create(1 << 20), 1, entries)).toThrow(RangeError);
    }
  });
});

const usual: Datagram = { family: 4, source: 1, destination: 2, id: 1, protocol: 17, kind: 'encap' };

describe('threads that remember and look at a time', () => {
  it.each([
    { log2: 2, entries: 4 },
    { log2: 3, entries: 16 },
    { log2: 5, entries: 4096 },
  ])('find nothing of another datagram: %o', async ({ log2, entries }) => {
    const { arena, lb, table, memory } = new Table(entries);
    const stop = arena.allocate('stop', 64);
    const threads = ['race_read', 'race_write', 'race_write', 'race_read'].map((loop, i) => {
      const errors = arena.allocate('errors', 64);
      const packet = arena.allocate('packet', 128);
      const workerData = {
        memory: memory.wasm,
        module,
        loop,
        lb,
        log2,
        seed: (i + 1) * 104729,
        steps: 5000,
        packet,
        errors,
        stop,
      };
      const worker = new Worker(new URL('../test/race-worker.mjs', import.meta.url), { workerData });
      const done = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
      return { done, errors };
    });
    await sleep(400);
    const rounds = () => threads.map(({ errors }) => Atomics.load(memory.i32, errors / 4 + 3));
    while (rounds().includes(0)) await sleep(20);
    Atomics.store(memory.i32, stop / 4, 1);
    await Promise.all(threads.map(({ done }) => done));
    const sum = (word: number) => threads.reduce((total, { errors }) => total + memory.u32[errors / 4 + word]!, 0);
    expect(sum(0)).toBe(0);
    expect(sum(1)).toBeGreaterThan(1000);
    // No entry has stayed locked.
    for (let entry = 0; entry < entries; entry++) {
      const at = table + F.FRAGMENTS_BYTES + entry * F.FRAGMENT_BYTES;
      expect(memory.u32[(at + F.FRAGMENT_SEQUENCE) >>> 2]! & 1).toBe(0);
    }
  });

  it('leave nothing old of a datagram that two of them remembered at once', () => {
    const { memory, table, ...rest } = twice();
    rest.remember(3n);
    expect(rest.find()).toBe(3n);
    // Whichever of the two goes for others, the older value is not there any more.
    const entries = memory.u8.subarray(table + F.FRAGMENTS_BYTES, table + F.FRAGMENTS_BYTES + 2 * F.FRAGMENT_BYTES);
    for (const way of [0, 1]) {
      const before = entries.slice();
      entries.fill(0, way * F.FRAGMENT_BYTES, (way + 1) * F.FRAGMENT_BYTES);
      expect([0n, 3n]).toContain(rest.find());
      entries.set(before);
    }
  });
});

/** A table whose first two entries are of one datagram, as two threads may leave it. */
function twice() {
  const t = new Table(4);
  const bytes = fragmentOf(usual, 0, []);
  t.remember(bytes, 1, 1n);
  const first = t.table + F.FRAGMENTS_BYTES;
  t.memory.u8.copyWithin(first + F.FRAGMENT_BYTES, first, first + F.FRAGMENT_BYTES);
  t.memory.u32[(first + F.FRAGMENT_BYTES + F.FRAGMENT_VALUE) >>> 2] = 2;
  return {
    memory: t.memory,
    table: t.table,
    remember: (value: bigint) => t.remember(bytes, 1, value),
    find: () => t.find(bytes, 1),
  };
}

describe('fragments that nobody sends but to hide something', () => {
  const first: Array<[string, string, number, number, boolean]> = [
    ['TCP without its last byte', `IP(flags='MF')/Raw(bytes(TCP())[:19])`, 20, 6, true],
    ['TCP, whole', `IP(flags='MF')/TCP()`, 20, 6, false],
    ['TCP of 8 bytes, RFC 1858', `IP(flags='MF')/Raw(b'x' * 8)`, 20, 6, true],
    ['UDP without its last byte', `IP(flags='MF')/Raw(b'x' * 7)`, 20, 17, true],
    ['UDP without data', `IP(flags='MF')/UDP()`, 20, 17, false],
    ['IPv6, nothing behind the headers', `IPv6()/IPv6ExtHdrFragment(m=1, nh=17)`, 48, 17, true],
    ['ESP of any length', `IP(flags='MF', proto=50)/Raw(b'x')`, 20, 50, false],
  ];
  const later: Array<[string, string, boolean]> = [
    ['TCP at 8 bytes, RFC 1858', `IP(frag=1, proto=6)/Raw(b'x' * 16)`, true],
    ['TCP at 16', `IP(frag=2, proto=6)/Raw(b'x' * 16)`, true],
    ['TCP at 24', `IP(frag=3, proto=6)/Raw(b'x' * 16)`, false],
    ['UDP at 8', `IP(frag=1, proto=17)/Raw(b'x' * 16)`, false],
    ['IPv6 TCP at 16', `IPv6()/IPv6ExtHdrHopByHop()/IPv6ExtHdrFragment(offset=2, nh=6)/Raw(b'x' * 16)`, true],
    ['IPv6 TCP at 24', `IPv6()/IPv6ExtHdrFragment(offset=3, nh=6)/Raw(b'x' * 16)`, false],
    ['IPv6 UDP at 8', `IPv6()/IPv6ExtHdrFragment(offset=1, nh=17)/Raw(b'x' * 16)`, false],
  ];
  const packets = new Map<string, Uint8Array>();
  beforeAll(() => {
    const expressions = [...first, ...later].map(([, expression]) => expression);
    const built = scapy(`[${expressions.join(', ')}]`);
    for (const [i, bytes] of built.entries()) packets.set(expressions[i]!, bytes);
  });

  it.each(first)('a first fragment: %s', (_, expression, l4, protocol, tiny) => {
    const { memory, meta, kernels } = tableWith(packets.get(expression)!);
    memory.u16[(meta + META_L4) >>> 1] = l4;
    memory.u8[meta + META_PROTOCOL] = protocol;
    memory.u16[(meta + META_FLAGS) >>> 1] = FLAG_FIRST_FRAGMENT;
    expect(Boolean(kernels.tiny(meta))).toBe(tiny);
    // What is no fragment is for others to judge.
    memory.u16[(meta + META_FLAGS) >>> 1] = 0;
    expect(Boolean(kernels.tiny(meta))).toBe(false);
  });

  it.each(later)('a later fragment: %s', (_, expression, overlapping) => {
    const { kernels, ip, meta } = tableWith(packets.get(expression)!);
    expect(Boolean(kernels.overlapping(ip, meta))).toBe(overlapping);
  });
});

function tableWith(packet: Uint8Array): Table {
  const table = new Table(4);
  table.put(packet);
  return table;
}
