import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import asc from 'assemblyscript/asc';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from './graph.ts';
import { MIXED, NODE_DATA, VECTOR_SIZE, WORKER_FREE_COUNT } from './layout.ts';
import type { Kernel, NodeDeclaration, NodeFunction } from './node.ts';
import type { PacketView } from './packet-view.ts';
import { MAX_TRAPS, type NodeFailure } from './runtime.ts';
import { TestBench } from './testing.ts';

let folder: string;
let steerKernel: Kernel;
let trapModule: URL;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lbd-graph-'));
  steerKernel = { module: await compile('steer'), export: 'steer' };
  trapModule = await compile('traps');
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

/** Compiles test/assembly/<name>.ts. */
async function compile(name: string): Promise<URL> {
  const out = join(folder, `${name}.wasm`);
  const { error, stderr } = await asc.main(
    [
      ...[`packages/graph/test/assembly/${name}.ts`, '--outFile', `${name}.wasm`, '-O2', '--runtime', 'stub'],
      ...['--use', 'abort=', '--importMemory', '--noExportMemory', '--sharedMemory', '--maximumMemory', '65536'],
      ...['--enable', 'threads'],
    ],
    { writeFile: async (_, contents) => (await import('node:fs/promises')).writeFile(out, contents) },
  );
  if (error) throw new Error(`${stderr}`);
  expect(readFileSync(out).length).toBeGreaterThan(0);
  return pathToFileURL(out);
}

/** The node of test/assembly/steer.ts in TypeScript. */
const steerFunction: NodeFunction = (context, vector, count, nexts) => {
  const slots = context.memory.u32[(context.node + NODE_DATA) >>> 2]!;
  for (let i = 0; i < count; i++) {
    const packet = context.packet(vector[i]!);
    const hops = packet.opaque;
    if (hops === 0) {
      context.reason(packet, 'tired');
      nexts[i] = 0;
    } else {
      packet.opaque = hops - 1;
      nexts[i] = 1 + (((packet.bytes[0]! >>> (hops & 7)) + hops) % (slots - 1));
    }
  }
  context.count('seen', count);
  return nexts.subarray(0, count).every((slot) => slot === nexts[0]) ? nexts[0]! : MIXED;
};

function steer(name: string, to: readonly string[], process: NodeDeclaration['process']): NodeDeclaration {
  const next = ['drop', ...to];
  return {
    name,
    next,
    counters: { seen: 'packets seen', tired: 'no hop left' },
    dataBytes: 4,
    init: (memory, address) => {
      memory.u32[address >>> 2] = next.length;
    },
    process,
    trace: (packet) => `${packet.opaque} hops left`,
  };
}

/** Sets an injected packet's hops. */
const hops = (n: number) => (packet: PacketView) => {
  packet.opaque = n;
};

/** Next nodes of n0, n1, ...: places in the list, or `sink`; circles are allowed, a packet's hops end them. */
const shapes = fc.array(fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 7 });
const traffic = fc.array(fc.record({ byte: fc.nat(255), hops: fc.nat(12) }), { minLength: 0, maxLength: 700 });

function build(shape: readonly (readonly number[])[], process: () => NodeDeclaration['process']): Graph {
  const graph = new Graph();
  const name = (i: number) => (i < shape.length ? `n${i}` : 'sink');
  graph.add(...shape.map((nexts, i) => steer(`n${i}`, nexts.map(name), process())));
  return graph;
}

async function outcome(
  shape: readonly (readonly number[])[],
  packets: readonly { byte: number; hops: number }[],
  process: NodeDeclaration['process'],
) {
  const bench = await TestBench.create(
    build(shape, () => process),
    'n0',
    { sizes: { buffersPerWorker: 512 } },
  );
  for (const packet of packets) bench.inject(Uint8Array.of(packet.byte), 0, hops(packet.hops));
  const sent = bench.run().length;
  const counters = bench.stats.counters().filter(({ value }) => value !== 0n);
  const free = bench.arena.memory.u32[(bench.layout.workers[0]!.block + WORKER_FREE_COUNT) >>> 2];
  const seen = bench.stats.runtime().map(({ node, packets }) => `${node} ${packets}`);
  return {
    sent,
    counters: counters.map((c) => `${c.node} ${c.name} ${c.value}`),
    dropped: drops(counters),
    free,
    seen,
  };
}

function drops(counters: readonly { name: string; value: bigint }[]): number {
  return counters.filter(({ name }) => name !== 'seen').reduce((n, { value }) => n + Number(value), 0);
}

describe('runtime', () => {
  it('conserves buffers on random graphs and random traffic, each drop with one reason', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, traffic, async (shape, packets) => {
        const { sent, dropped, free } = await outcome(shape, packets, steerFunction);
        expect(sent + dropped).toBe(packets.length);
        expect(free).toBe(512);
      }),
      { numRuns: 60 },
    );
  });

  it('runs the same node as a kernel and as a TypeScript function', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, traffic, async (shape, packets) => {
        expect(await outcome(shape, packets, steerKernel)).toEqual(await outcome(shape, packets, steerFunction));
      }),
      { numRuns: 40 },
    );
  });

  it('hands over vectors whole', async () => {
    const graph = new Graph().add(steer('n0', ['n1'], steerKernel), steer('n1', ['sink'], steerKernel));
    const bench = await TestBench.create(graph, 'n0');
    for (let i = 0; i < VECTOR_SIZE; i++) bench.inject(Uint8Array.of(0), 0, hops(5));
    bench.run();
    expect(bench.stats.runtime().find(({ node }) => node === 'n1')).toMatchObject({ calls: 1, packets: VECTOR_SIZE });
  });

  it.each([1, VECTOR_SIZE])(
    'tells how long nodes took with %d packets at a time, though few are not timed each time',
    async (packets) => {
      // Each vector takes the one node 0.25 ms and the other 2 ms. Few packets: the first breath, and two that count for 256.
      const breaths = 1 + 2 * 256;
      let now = 0;
      const node = (name: string, next: string, takes: number): NodeDeclaration => ({
        name,
        next: [next],
        process: () => {
          now += takes;
          return 0;
        },
      });
      const graph = new Graph().add(node('quick', 'slow', 0.25), node('slow', 'sink', 2));
      const bench = await TestBench.create(graph, 'quick', { runtime: { clock: () => now } });
      for (let breath = 0; breath < breaths; breath++) {
        for (let i = 0; i < packets; i++) bench.inject(Uint8Array.of(0));
        bench.run();
      }
      const told = bench.stats.runtime().filter(({ calls }) => calls > 0);
      const of = (name: string) => told.find(({ node }) => node === name)!;
      expect(of('quick')).toMatchObject({ calls: breaths, packets: breaths * packets, nanoseconds: breaths * 0.25e6 });
      expect(of('slow')).toMatchObject({ calls: breaths, packets: breaths * packets, nanoseconds: breaths * 2e6 });
    },
  );

  it('counts a node that fails and goes on', async () => {
    let calls = 0;
    const fails: NodeDeclaration = {
      name: 'fails',
      next: ['sink'],
      process() {
        if (calls++ === 0) throw new Error('broken');
        return 0;
      },
    };
    const bench = await TestBench.create(new Graph().add(fails), 'fails');
    expect(bench.inject(new Uint8Array(60)).inject(new Uint8Array(60)).run()).toHaveLength(0);
    expect(bench.counters('fails')).toEqual({ trapped: 2 });
    expect(bench.inject(new Uint8Array(60)).run()).toHaveLength(1);
  });

  describe('a shortcut', () => {
    const trapping = new Uint8Array([7]);
    /** Takes packets of interface 1 to the sink itself; fails on what begins with 7. */
    const short: NodeDeclaration = {
      name: 'short',
      next: ['long', 'sink'],
      process(context, vector, count, nexts) {
        for (let i = 0; i < count; i++) {
          const packet = context.packet(vector[i]!);
          if (packet.bytes[0] === 7) throw new Error('seven');
          nexts[i] = packet.rx;
        }
        return MIXED;
      },
    };
    const make = () =>
      TestBench.create(
        new Graph()
          .add(short, { name: 'long', next: ['sink'], process: () => 0 })
          .shortcut({ node: 'short', instead: 'long' }),
        'long',
      );
    const passed = (bench: TestBench) =>
      ['short', 'long'].map((name) => bench.stats.runtime().find(({ node }) => node === name)!.packets);

    it('gets what inputs have for another node, and leaves to it what it does not take', async () => {
      const bench = await make();
      expect(bench.inject(new Uint8Array(1), 0).inject(new Uint8Array(1), 1).run()).toHaveLength(2);
      expect(passed(bench)).toEqual([2, 1]);
    });

    it('is not taken while packets are traced', async () => {
      const bench = await make();
      bench.runtime.tracer.add(1);
      expect(bench.inject(new Uint8Array(1), 1).inject(new Uint8Array(1), 1).run()).toHaveLength(2);
      expect(passed(bench)).toEqual([0, 2]);
      const [trace] = bench.runtime.tracer.take();
      expect(trace!.steps.map(({ node }) => node)).toEqual(['source', 'long', 'sink']);
      bench.inject(new Uint8Array(1), 1).run();
      expect(passed(bench)).toEqual([1, 2]);
    });

    it('leaves to the next one what it does not take', async () => {
      const second: NodeDeclaration = { ...short, name: 'second' };
      const bench = await TestBench.create(
        new Graph()
          .add(second, { name: 'long', next: ['sink'], process: () => 0 })
          .add({ name: 'first', next: ['sink', 'long'], process: () => 1 })
          .shortcut({ node: 'first', instead: 'long' })
          .shortcut({ node: 'second', instead: 'long' }),
        'long',
      );
      const counted = () =>
        ['first', 'second', 'long'].map((name) => bench.stats.runtime().find(({ node }) => node === name)!.packets);
      expect(bench.inject(new Uint8Array(1), 0).inject(new Uint8Array(1), 1).run()).toHaveLength(2);
      expect(counted()).toEqual([2, 2, 1]);
      for (let i = 0; i < MAX_TRAPS; i++) expect(bench.inject(trapping, 1).run()).toHaveLength(0);
      const before = counted();
      expect(bench.inject(new Uint8Array(1), 1).run()).toHaveLength(1);
      expect(counted()).toEqual([before[0], before[1], before[2]! + 1]);
    });

    it('is not taken once it is disabled', async () => {
      const bench = await make();
      for (let i = 0; i < MAX_TRAPS; i++) expect(bench.inject(trapping, 1).run()).toHaveLength(0);
      expect(bench.inject(trapping, 1).run()).toHaveLength(1);
    });
  });

  describe('a node that traps', () => {
    const good = Uint8Array.of(0);
    const bad = Uint8Array.of(1);
    /** A node that fails beside one that does not: odd second bytes go to the bad one. */
    async function between(process: NodeDeclaration['process']) {
      let now = 0;
      const failures: NodeFailure[] = [];
      const sort: NodeDeclaration = {
        name: 'sort',
        next: ['bad', 'fine'],
        process(context, vector, count, nexts) {
          for (let i = 0; i < count; i++) nexts[i] = context.packet(vector[i]!).rx === 0 ? 1 : 0;
          return MIXED;
        },
      };
      const graph = new Graph().add(
        sort,
        { name: 'bad', next: ['sink'], process },
        { name: 'fine', next: ['sink'], process: () => 0 },
      );
      const runtime = { clock: () => now, onFailure: (failure: NodeFailure) => failures.push(failure) };
      const bench = await TestBench.create(graph, 'sort', { sizes: { buffersPerWorker: 512 }, runtime });
      return {
        bench,
        failures,
        pass: (milliseconds: number) => {
          now += milliseconds;
        },
        free: () => bench.arena.memory.u32[(bench.layout.workers[0]!.block + WORKER_FREE_COUNT) >>> 2],
        disabled: () => bench.stats.runtime().find(({ node }) => node === 'bad')!.disabled,
      };
    }
    const ways: [string, () => NodeDeclaration['process']][] = [
      ...['trap', 'out_of_bounds', 'overflow', 'divide'].map((name): [string, () => NodeDeclaration['process']] => [
        `a kernel: ${name}`,
        () => ({ module: trapModule, export: name }),
      ]),
      [
        'TypeScript that throws',
        () => (context, vector) => {
          if (context.packet(vector[0]!).bytes[0] !== 0) throw new Error('broken');
          return 0;
        },
      ],
      [
        'TypeScript that throws what can not be printed',
        () => (context, vector) => {
          if (context.packet(vector[0]!).bytes[0] !== 0) throw Object.create(null);
          return 0;
        },
      ],
      [
        'TypeScript without an end',
        () => (context, vector) => {
          const deeper = (n: number): number => deeper(n + 1) + 1;
          return context.packet(vector[0]!).bytes[0] === 0 ? 0 : deeper(0);
        },
      ],
    ];

    it.each(ways)('costs the packets of its vector, until it is disabled (%s)', async (_, process) => {
      const { bench, failures, free, disabled } = await between(process());
      for (let trap = 1; trap <= MAX_TRAPS; trap++) {
        for (let i = 0; i < 10; i++) bench.inject(bad, 1).inject(good, 0);
        // The neighbours' packets lose nothing.
        expect(bench.run()).toHaveLength(10);
        expect(bench.counters('bad')).toEqual({ trapped: 10 * trap });
        expect(free()).toBe(512);
        expect(disabled()).toBe(trap === MAX_TRAPS ? 1 : 0);
      }
      expect(failures.map(({ node, disabled }) => [node, disabled])).toEqual([
        ['bad', false],
        ['bad', true],
      ]);
      // Now not even good packets come to it.
      expect(bench.inject(good, 1).inject(good, 0).run()).toHaveLength(1);
      expect(bench.counters('bad')).toEqual({ trapped: 10 * MAX_TRAPS, disabled: 1 });
      expect(failures).toHaveLength(2);
    });

    it('is not disabled if it seldom does', async () => {
      const { bench, disabled, pass } = await between({ module: trapModule, export: 'trap' });
      for (let trap = 0; trap < 3 * MAX_TRAPS; trap++) {
        bench.inject(bad, 1).run();
        pass(60_000 / (MAX_TRAPS - 1) + 1);
      }
      expect(disabled()).toBe(0);
      expect(bench.inject(good, 1).run()).toHaveLength(1);
    });

    it('says so in a trace', async () => {
      const { bench } = await between({ module: trapModule, export: 'trap' });
      for (let trap = 0; trap <= MAX_TRAPS; trap++) {
        bench.runtime.tracer.add(1);
        bench.inject(bad, 1).run();
      }
      const words = bench.runtime.tracer.take().map(({ steps }) => steps.map(({ text }) => text).join(', '));
      expect(words[0]).toMatch(/^, , failed: RuntimeError: unreachable, drop$/);
      expect(words[MAX_TRAPS]).toBe(', , disabled, drop');
    });
  });

  it('loses no packet by words that fail', async () => {
    const trace = () => {
      throw new Error('no words');
    };
    const bench = await TestBench.create(
      new Graph().add({ name: 'mute', next: ['sink'], process: () => 0, trace }),
      'mute',
    );
    bench.runtime.tracer.add(1);
    expect(bench.inject(new Uint8Array(60)).run()).toHaveLength(1);
    expect(bench.runtime.tracer.take()[0]!.steps[1]).toEqual({
      node: 'mute',
      text: '(its trace failed: Error: no words)',
    });
  });

  it('drops what a node sends to a slot it does not have', async () => {
    const wrong: NodeDeclaration = {
      name: 'wrong',
      next: ['sink'],
      process(_context, _vector, count, nexts) {
        nexts.fill(0, 0, count);
        nexts[1] = 9;
        return count === 1 ? 7 : MIXED;
      },
    };
    const bench = await TestBench.create(new Graph().add(wrong), 'wrong');
    expect(bench.inject(new Uint8Array(60)).run()).toHaveLength(0);
    expect(bench.inject(new Uint8Array(60)).inject(new Uint8Array(60)).run()).toHaveLength(1);
    expect(bench.counters('wrong')).toEqual({ 'bad next': 2 });
  });

  it('traces the way of a packet in the words of its nodes', async () => {
    const graph = new Graph().add(steer('n0', ['n1'], steerKernel), steer('n1', ['sink'], steerFunction));
    const bench = await TestBench.create(graph, 'n0');
    bench.runtime.tracer.add(2);
    for (const opaque of [9, 1, 9]) bench.inject(Uint8Array.of(0), 0, hops(opaque));
    bench.run();
    const steps = bench.runtime.tracer.take().map((trace) => trace.steps.map(({ node, text }) => `${node}: ${text}`));
    expect(steps).toHaveLength(2);
    expect(steps).toContainEqual(['source: ', 'n0: 8 hops left', 'n1: 7 hops left', 'sink: ']);
    expect(steps).toContainEqual(['source: ', 'n0: 0 hops left', 'n1: 0 hops left', 'drop: drop']);
    expect(bench.runtime.tracer.active).toBe(false);
  });
});
