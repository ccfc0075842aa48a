import { readFileSync } from 'node:fs';
import {
  FRAME_BYTES,
  INTERFACE_COUNTER_BYTES,
  INTERFACE_RX_DROPS,
  INTERFACE_RX_PACKETS,
  INTERFACE_TX_DROPS,
  INTERFACE_TX_PACKETS,
  META_DATA,
  META_FLAGS,
  META_LENGTH,
  META_RX,
  META_TX,
  METADATA_BYTES,
  NODE_DATA,
  NODE_WORKER,
  VECTOR_SIZE,
  WORKER_BUFFERS,
  WORKER_BYTES,
  WORKER_FRAMES,
  WORKER_FREE,
  WORKER_FREE_COUNT,
  WORKER_INTERFACE_COUNTERS,
  WORKER_METADATA,
} from '@lbd/graph';
import { Arena } from '@lbd/memory';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as L from './layout.ts';
import { Registry } from './registry.ts';

type Kernel = (node: number, vector: number, count: number, nexts: number) => number;

const module = new WebAssembly.Module(readFileSync(new URL('../dist/kernels.wasm', import.meta.url)));
const BUFFERS = 1024;
const RING = 64;
const FILL_RING = 2048;
/** Ring indices start just below 2^32, so that they wrap. */
const START = 0xffff_ffe0;

/** A worker with queues whose kernel side is played by the test. */
class Bench {
  readonly arena = Arena.create(16 << 20);
  readonly memory = this.arena.memory;
  readonly worker = this.arena.allocate('worker', WORKER_BYTES);
  readonly input = this.arena.allocate('input', NODE_DATA + L.INPUT_BYTES);
  readonly output = this.arena.allocate('output', NODE_DATA + L.OUTPUT_BYTES);
  readonly vector = this.arena.allocate('vector', VECTOR_SIZE * 4);
  readonly metadata = this.arena.allocate('metadata', BUFFERS * METADATA_BYTES);
  readonly counters = this.arena.allocate('counters', 64 * INTERFACE_COUNTER_BYTES);
  readonly free = this.arena.allocate('free', BUFFERS * 4);
  readonly queues: FakeQueue[];
  readonly kernels: Record<string, Kernel>;

  /** @param fillWanted buffers to keep on each fill ring; what the registry finds right if left out */
  constructor(interfaces: readonly number[], fillWanted?: number) {
    const { u32 } = this.memory;
    const set = (address: number, value: number) => {
      u32[address >>> 2] = value;
    };
    set(this.input + NODE_WORKER, this.worker);
    set(this.output + NODE_WORKER, this.worker);
    set(this.worker + WORKER_FRAMES, 0x10000);
    set(this.worker + WORKER_METADATA, this.metadata);
    set(this.worker + WORKER_INTERFACE_COUNTERS, this.counters);
    set(this.worker + WORKER_FREE, this.free);
    set(this.worker + WORKER_FREE_COUNT, BUFFERS);
    for (let i = 0; i < BUFFERS; i++) set(this.free + i * 4, i);
    this.memory.u8.fill(0xa5, this.metadata, this.metadata + BUFFERS * METADATA_BYTES);
    set(this.worker + WORKER_BUFFERS, BUFFERS);
    this.queues = interfaces.map((index) => new FakeQueue(this.arena, index));
    const registry = new Registry(this.memory);
    registry.addInput(0, this.input + NODE_DATA);
    for (const { index, block } of this.queues) registry.connect(index, [{ queue: 0, worker: 0, fd: -1, block }]);
    registry.addOutput(0, this.output + NODE_DATA); // nodes and queues may come in any order
    if (fillWanted !== undefined) for (const queue of this.queues) queue.fillWanted = fillWanted;
    this.kernels = this.memory.instantiate(module) as unknown as Record<string, Kernel>;
  }

  receive(room = VECTOR_SIZE): number[] {
    const count = this.kernels.afXdpInput!(this.input, this.vector, room, 0);
    return [...this.memory.u32.subarray(this.vector >>> 2, (this.vector >>> 2) + count)];
  }
  send(buffers: readonly number[]): void {
    this.memory.u32.set(buffers, this.vector >>> 2);
    this.kernels.afXdpOutput!(this.output, this.vector, buffers.length, 0);
  }
  get freeBuffers(): number[] {
    const count = this.memory.u32[(this.worker + WORKER_FREE_COUNT) >>> 2]!;
    return [...this.memory.u32.subarray(this.free >>> 2, (this.free >>> 2) + count)];
  }
  counter(index: number, offset: number): number {
    return Number(this.memory.u64[(this.counters + index * INTERFACE_COUNTER_BYTES + offset) >>> 3]);
  }
  meta(buffer: number, offset: number): number {
    return this.memory.u16[(this.metadata + buffer * METADATA_BYTES + offset) >>> 1]!;
  }
  setMeta(buffer: number, offset: number, value: number): void {
    this.memory.u16[(this.metadata + buffer * METADATA_BYTES + offset) >>> 1] = value;
  }
}

/** The rings of a queue, and the kernel's side of them as the documentation of AF_XDP has it. */
class FakeQueue {
  readonly block: number;
  readonly index: number;
  readonly #arena: Arena;
  /** Frames that the kernel took off the fill ring to receive into. */
  readonly filled: number[] = [];

  constructor(arena: Arena, index: number) {
    this.index = index;
    this.#arena = arena;
    this.block = arena.allocate('block', L.QUEUE_BYTES);
    this.#set(L.QUEUE_INTERFACE, index);
    for (const producer of [L.RX_PRODUCER, L.TX_PRODUCER, L.FILL_PRODUCER, L.COMPLETION_PRODUCER]) {
      const words = arena.allocate('words', 128);
      arena.memory.u32[words >>> 2] = START;
      arena.memory.u32[(words + 64) >>> 2] = START;
      this.#set(producer, words);
      this.#set(producer + 4, words + 64);
      const ring = producer === L.FILL_PRODUCER ? FILL_RING : RING;
      this.#set(producer + 8, arena.allocate('entries', ring * 16));
      this.#set(producer + 12, ring - 1);
    }
    for (const own of [L.RX_TAKEN, L.TX_WRITTEN, L.TX_SEEN, L.FILL_WRITTEN, L.COMPLETION_TAKEN]) this.#set(own, START);
  }

  /** Receives a packet: takes a frame off the fill ring, puts a descriptor on the RX ring. False if there is none. */
  arrive(length: number): boolean {
    if (this.#level(L.RX_PRODUCER) === RING || this.#level(L.FILL_PRODUCER) === 0) return false;
    const frame = this.#consume(L.FILL_PRODUCER, 8);
    this.#produce(L.RX_PRODUCER, 16, frame + 256, length);
    return true;
  }
  /** Sends up to `most` packets; returns what they were. */
  transmit(most: number): Array<{ address: number; length: number }> {
    const sent = [];
    while (sent.length < most && this.#level(L.TX_PRODUCER) > 0 && this.#level(L.COMPLETION_PRODUCER) < RING) {
      const at = this.#entry(L.TX_PRODUCER, this.#words(L.TX_PRODUCER)[1], 16);
      const length = this.#arena.memory.u32[(at + 8) >>> 2]!;
      const address = this.#consume(L.TX_PRODUCER, 16);
      this.#produce(L.COMPLETION_PRODUCER, 8, address);
      sent.push({ address, length });
    }
    return sent;
  }
  /** Buffers on the fill, RX, TX and completion rings. */
  get buffers(): number {
    return [L.FILL_PRODUCER, L.RX_PRODUCER, L.TX_PRODUCER, L.COMPLETION_PRODUCER].reduce(
      (n, r) => n + this.#level(r),
      0,
    );
  }
  get level(): { fill: number; rx: number; tx: number } {
    return { fill: this.#level(L.FILL_PRODUCER), rx: this.#level(L.RX_PRODUCER), tx: this.#level(L.TX_PRODUCER) };
  }
  set fillWanted(buffers: number) {
    this.#set(L.FILL_WANTED, buffers);
  }
  lose(packets: number): void {
    this.#set(L.RX_LOST, packets);
  }
  /** Entries of the TX ring that the worker's flush has not yet told the kernel of. */
  get untold(): number {
    return this.#get(L.TX_UNTOLD);
  }
  set untold(entries: number) {
    this.#set(L.TX_UNTOLD, entries);
  }

  #get(offset: number): number {
    return this.#arena.memory.u32[(this.block + offset) >>> 2]!;
  }
  #set(offset: number, value: number): void {
    this.#arena.memory.u32[(this.block + offset) >>> 2] = value;
  }
  #words(ring: number): [number, number] {
    const { u32 } = this.#arena.memory;
    return [u32[this.#get(ring) >>> 2]!, u32[this.#get(ring + 4) >>> 2]!];
  }
  #level(ring: number): number {
    const [produced, consumed] = this.#words(ring);
    return (produced - consumed) >>> 0;
  }
  #entry(ring: number, index: number, width: number): number {
    return this.#get(ring + 8) + (index & this.#get(ring + 12)) * width;
  }
  #consume(ring: number, width: number): number {
    const { u32, u64 } = this.#arena.memory;
    const address = Number(u64[this.#entry(ring, this.#words(ring)[1], width) >>> 3]);
    u32[this.#get(ring + 4) >>> 2]! += 1;
    return address;
  }
  #produce(ring: number, width: number, address: number, length?: number): void {
    const { u32, u64 } = this.#arena.memory;
    const at = this.#entry(ring, this.#words(ring)[0], width);
    u64[at >>> 3] = BigInt(address);
    if (length !== undefined) u64[(at + 8) >>> 3] = BigInt(length);
    u32[this.#get(ring) >>> 2]! += 1;
  }
}

describe('af_xdp-input', () => {
  it('keeps the fill ring filled and writes fresh metadata for what comes in', () => {
    const bench = new Bench([5], 32);
    const [queue] = bench.queues as [FakeQueue];
    expect(bench.receive()).toEqual([]);
    expect(queue.level.fill).toBe(32);
    expect(bench.freeBuffers).toHaveLength(BUFFERS - 32);
    expect([queue.arrive(60), queue.arrive(1514)]).toEqual([true, true]);
    const got = bench.receive();
    expect(got).toHaveLength(2);
    expect(got.map((b) => [META_DATA, META_LENGTH, META_RX, META_FLAGS].map((o) => bench.meta(b, o)))).toEqual([
      [256, 60, 5, 0],
      [256, 1514, 5, 0],
    ]);
    for (const buffer of got) {
      const at = bench.metadata + buffer * METADATA_BYTES;
      expect(bench.memory.u8.subarray(at + 8, at + METADATA_BYTES).every((byte) => byte === 0)).toBe(true);
    }
    expect(bench.counter(5, INTERFACE_RX_PACKETS)).toBe(2);
  });

  it('takes turns between queues when there is more than a vector holds', () => {
    const bench = new Bench([1, 2]);
    bench.receive();
    for (const queue of bench.queues) for (let i = 0; i < 20; i++) queue.arrive(60);
    const rounds = [bench.receive(10), bench.receive(10)];
    const from = rounds.map((round) => new Set(round.map((buffer) => bench.meta(buffer, META_RX))));
    expect(from[0]).not.toEqual(from[1]);
    expect(from.map((set) => set.size)).toEqual([1, 1]);
  });

  it('leaves a reserve of free buffers', () => {
    const bench = new Bench([1, 2, 3], 2048);
    for (let i = 0; i < 3; i++) bench.receive();
    const onRings = bench.queues.reduce((n, queue) => n + queue.buffers, 0);
    expect(bench.freeBuffers.length + onRings).toBe(BUFFERS);
    expect(bench.freeBuffers.length).toBeGreaterThanOrEqual(L.REFILL_RESERVE);
  });

  it('shares the buffers out among all queues, and leaves half of them to packets', () => {
    const levels = (queues: number) => {
      const bench = new Bench(Array.from({ length: queues }, (_, i) => i));
      bench.receive();
      return bench.queues.map(({ level }) => level.fill);
    };
    expect(levels(1)).toEqual([BUFFERS / 4]);
    expect(levels(2)).toEqual([BUFFERS / 4, BUFFERS / 4]);
    expect(levels(16)).toEqual(Array.from({ length: 16 }, () => BUFFERS / 32));
  });

  it('takes no buffer back, and gives none, when a queue is to have fewer', () => {
    const bench = new Bench([1], 48);
    bench.receive();
    bench.queues[0]!.fillWanted = 16;
    bench.receive();
    expect(bench.queues[0]!.level.fill).toBe(48);
    for (let i = 0; i < 40; i++) bench.queues[0]!.arrive(60);
    bench.receive();
    expect(bench.queues[0]!.level.fill).toBe(16);
  });

  it('books what the kernel lost, once', () => {
    const bench = new Bench([3]);
    bench.queues[0]!.lose(7);
    bench.receive();
    bench.receive();
    expect(bench.counter(3, INTERFACE_RX_DROPS)).toBe(7);
  });
});

describe('af_xdp-output', () => {
  const packets = (bench: Bench, count: number, tx: number, length = 100): number[] => {
    const at = bench.worker + WORKER_FREE_COUNT;
    const buffers = bench.freeBuffers.slice(-count);
    bench.memory.u32[at >>> 2]! -= count;
    for (const buffer of buffers) {
      bench.setMeta(buffer, META_TX, tx);
      bench.setMeta(buffer, META_DATA, 242);
      bench.setMeta(buffer, META_LENGTH, length);
    }
    return buffers;
  };

  it('writes descriptors of each packet to the ring of its interface, in order', () => {
    const bench = new Bench([1, 2]);
    const [a, b, c] = [packets(bench, 2, 1), packets(bench, 2, 2, 200), packets(bench, 1, 1, 300)];
    bench.send([...a, ...b, ...c]);
    const expected = (buffers: number[], length: number) =>
      buffers.map((buffer) => ({ address: buffer * FRAME_BYTES + 242, length }));
    expect(bench.queues[0]!.transmit(9)).toEqual([...expected(a, 100), ...expected(c, 300)]);
    expect(bench.queues[1]!.transmit(9)).toEqual(expected(b, 200));
    bench.receive(); // takes the completions, and fills
    const onRings = bench.queues.reduce((n, queue) => n + queue.buffers, 0);
    expect(bench.freeBuffers.length + onRings).toBe(BUFFERS);
  });

  it('drops and counts what does not fit the ring, has no queue, or an impossible length', () => {
    const bench = new Bench([1]);
    bench.send(packets(bench, 100, 1));
    expect(bench.queues[0]!.level.tx).toBe(RING);
    expect(bench.counter(1, INTERFACE_TX_PACKETS)).toBe(RING);
    expect(bench.counter(1, INTERFACE_TX_DROPS)).toBe(100 - RING);
    bench.send(packets(bench, 3, 9));
    expect(bench.counter(9, INTERFACE_TX_DROPS)).toBe(3);
    bench.queues[0]!.transmit(RING);
    bench.receive(); // takes the completions
    bench.send([...packets(bench, 1, 1, 0), ...packets(bench, 1, 1, 13), ...packets(bench, 1, 1, 2048 - 241)]);
    expect(bench.counter(1, INTERFACE_TX_DROPS)).toBe(100 - RING + 3);
    bench.send([...packets(bench, 1, 1, 14), ...packets(bench, 1, 1, 2048 - 242)]);
    expect(bench.queues[0]!.transmit(RING).map(({ length }) => length)).toEqual([14, 2048 - 242]);
    bench.receive();
    expect(bench.freeBuffers.length + bench.queues[0]!.buffers).toBe(BUFFERS);
  });

  it('has the kernel told again of a ring that stays full', () => {
    const bench = new Bench([1]);
    bench.send(packets(bench, RING, 1));
    const [queue] = bench.queues as [FakeQueue];
    queue.untold = 0; // the wake-up found the interface down
    bench.send(packets(bench, 3, 1));
    expect(queue.untold).toBeGreaterThan(0);
    queue.untold = 0;
    queue.transmit(1);
    bench.send(packets(bench, 3, 1));
    expect(queue.untold).toBe(1);
  });
});

describe('both', () => {
  it('conserve buffers, whatever the kernel does', () => {
    const step = fc.record({
      arrivals: fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 0, max: 40 })), { maxLength: 4 }),
      transmit: fc.array(fc.tuple(fc.nat(2), fc.nat(80)), { maxLength: 3 }),
      tx: fc.nat(4),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bench = new Bench([0, 1, 2], 48);
        let [arrived, sent] = [0, 0];
        for (const { arrivals, transmit, tx } of steps) {
          for (const [q, n] of arrivals) for (let i = 0; i < n; i++) if (bench.queues[q]!.arrive(64)) arrived++;
          const got = bench.receive();
          expect(new Set(got).size).toBe(got.length);
          for (const [i, buffer] of got.entries()) bench.setMeta(buffer, META_TX, i < 5 ? 0 : tx);
          if (got.length > 0) bench.send(got);
          for (const [q, n] of transmit) sent += bench.queues[q]!.transmit(n).length;
          const free = bench.freeBuffers;
          expect(new Set(free).size).toBe(free.length);
          expect(free.length + bench.queues.reduce((n, queue) => n + queue.buffers, 0)).toBe(BUFFERS);
        }
        const total = (offset: number) => [0, 1, 2, 3, 4].reduce((n, index) => n + bench.counter(index, offset), 0);
        const waiting = bench.queues.reduce((n, { level }) => n + level.tx, 0);
        expect(total(INTERFACE_RX_PACKETS)).toBe(arrived - bench.queues.reduce((n, { level }) => n + level.rx, 0));
        expect(total(INTERFACE_TX_PACKETS)).toBe(sent + waiting);
        expect(total(INTERFACE_TX_PACKETS) + total(INTERFACE_TX_DROPS)).toBe(total(INTERFACE_RX_PACKETS));
      }),
      { numRuns: 60 },
    );
  });
});
