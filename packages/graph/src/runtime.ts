import { readFile } from 'node:fs/promises';
import type { Memory } from '@lbd/memory';
import { type Clock, type ClockCell, cellOf, monotonicClock, secondsAt } from './clock.ts';
import { makeContext } from './context.ts';
import { GraphError } from './errors.ts';
import type { LinkedGraph, LinkedNode } from './graph.ts';
import { type GraphLayout, STATS_BYTES, STATS_DISABLED, type WorkerLayout } from './graph-memory.ts';
import * as L from './layout.ts';
import { isKernel } from './node.ts';
import { PacketView } from './packet-view.ts';
import { Tracer } from './trace.ts';

/** Compiled kernel modules, by URL. Structured-cloneable, so that modules are compiled once for all workers. */
export type KernelModules = ReadonlyMap<string, WebAssembly.Module>;

/** Compiles the kernel modules that a graph's nodes name. */
export async function compileKernels(graph: LinkedGraph): Promise<KernelModules> {
  const modules = new Map<string, WebAssembly.Module>();
  for (const { declaration } of graph.nodes) {
    if (!isKernel(declaration.process)) continue;
    const { module } = declaration.process;
    if (!modules.has(module.href)) modules.set(module.href, await WebAssembly.compile(await readFile(module)));
  }
  return modules;
}

type Process = (node: number, vector: number, count: number, nexts: number) => number;

/** A node as one worker runs it. */
interface RunningNode {
  readonly name: string;
  readonly block: number;
  readonly process: Process;
  readonly nexts: readonly number[];
  /** Of an input node, the nodes that get its packets, one after the other, while none are traced. */
  readonly shortcuts: readonly number[];
  readonly output: boolean;
  /** Index of its statistics in the memory's f64 view. */
  readonly stats: number;
  readonly trace: ((packet: PacketView, memory: Memory) => string) | undefined;
  /** Index of its first FAILURE_ counter. */
  readonly failures: number;
  /** When it last trapped (milliseconds), MAX_TRAPS times at most; undefined before the first. */
  traps: number[] | undefined;
  disabled: boolean;
  /** Full vectors that wait, and the one being filled (0 if none) with its count. */
  readonly full: number[];
  open: number;
  count: number;
}

/** So many traps of a node within TRAP_WINDOW_MS, and it is disabled. */
export const MAX_TRAPS = 8;
const TRAP_WINDOW_MS = 60_000;

/** Fewer packets from an input are not timed each time: reading the clock for each node would take a third of their time. */
const TIMED_ALWAYS = 32;
/** They are in one of so many breaths, which counts for all. So few that no percentile that people ask for sees the clock. */
const TIMED_SELDOM = 256;

/** A node trapped or threw. */
export interface NodeFailure {
  readonly node: string;
  /** What it died of, in words. */
  readonly why: string;
  /** It did so again and again, and is disabled from now on: packets that come to it are dropped. */
  readonly disabled: boolean;
}

export interface RuntimeOptions {
  /** Called when a node traps for the first time, and when it is disabled. */
  readonly onFailure?: (failure: NodeFailure) => void;
  /** Receives what nodes post() to the control plane. */
  readonly onPost?: (message: unknown) => void;
  /** The system's monotonic clock unless told; a cell, where the garbage collector is to have nothing to do. */
  readonly clock?: Clock | ClockCell;
}

/** Runs a linked graph in one thread. */
export class Runtime {
  readonly tracer = new Tracer();
  /** Milliseconds of the clock at which the last breath began: one element. */
  readonly breathed: Float64Array = new Float64Array(1);
  readonly #memory: Memory;
  readonly #worker: WorkerLayout;
  readonly #nodes: RunningNode[];
  readonly #inputs: RunningNode[];
  readonly #spare: number[];
  readonly #nextSlots: Uint16Array<SharedArrayBuffer>;
  readonly #packet: PacketView;
  readonly #clock: ClockCell;
  /** Milliseconds: when the last thing that took time had ended. In an array, so that it never becomes an object. */
  readonly #since = new Float64Array(1);
  /** For how many vectors the one under way counts in the nodes' times: 0 if it is not timed. */
  #weight = 1;
  /** Breaths with packets before the next in which few of them are timed, and for how many that one counts. */
  #untimed = 0;
  #standsFor = 1;
  readonly #drop: number;
  readonly #onFailure: (failure: NodeFailure) => void;
  /** No node before this one has packets pending. */
  #cursor = 0;

  constructor(
    memory: Memory,
    graph: LinkedGraph,
    layout: GraphLayout,
    worker: number,
    modules: KernelModules,
    options: RuntimeOptions = {},
  ) {
    this.#memory = memory;
    this.#worker = layout.workers[worker]!;
    const { clock = monotonicClock() } = options;
    this.#clock = typeof clock === 'function' ? cellOf(clock) : clock;
    this.#spare = [...this.#worker.vectors];
    const { nexts } = this.#worker;
    this.#nextSlots = memory.u16.subarray(nexts >>> 1, (nexts >>> 1) + L.VECTOR_SIZE);
    this.#packet = new PacketView(memory, layout.frames, layout.metadata);
    this.#drop = graph.byName.get('drop')!.index;
    this.#onFailure = options.onFailure ?? (() => {});
    const instances = new Map<string, WebAssembly.Exports>();
    this.#nodes = graph.nodes.map((node) => ({
      name: node.declaration.name,
      block: this.#worker.nodes[node.index]!,
      process: this.#bind(node, layout, modules, instances, options.onPost ?? (() => {})),
      nexts: node.nexts,
      shortcuts: node.shortcuts ?? [],
      output: node.declaration.kind === 'output',
      stats: (this.#worker.stats + node.index * STATS_BYTES) >>> 3,
      trace: node.declaration.trace,
      failures: node.failures,
      traps: undefined,
      disabled: false,
      full: [],
      open: 0,
      count: 0,
    }));
    this.#inputs = this.#nodes.filter((_, i) => graph.nodes[i]!.declaration.kind === 'input');
    this.#tick();
  }

  /** True while nodes keep buffers that an input node will give back. */
  get holds(): boolean {
    return this.#memory.u32[(this.#worker.block + L.WORKER_HELD) >>> 2] !== 0;
  }

  /** Polls every input once and moves what came to the end of the graph. Returns the packets that came in. */
  breathe(): number {
    this.#tick();
    let received = 0;
    for (const input of this.#inputs) {
      const vector = this.#spare.pop()!;
      const count = input.process(input.block, vector, L.VECTOR_SIZE, this.#worker.nexts);
      if (count === 0) {
        this.#spare.push(vector);
        continue;
      }
      received += count;
      this.#weight = count >= TIMED_ALWAYS ? 1 : this.#untimed === 0 ? this.#standsFor : 0;
      if (this.tracer.active) this.#pick(input, vector, count);
      this.#handOver(this.#entry(input), vector, count);
      this.#account(input, count);
      this.#dispatch();
    }
    if (received > 0) this.#countDown();
    return received;
  }

  #countDown(): void {
    if (this.#untimed > 0) {
      this.#untimed--;
      return;
    }
    this.#untimed = TIMED_SELDOM - 1;
    this.#standsFor = TIMED_SELDOM;
  }

  /** The node that an input node's packets go to. */
  #entry({ nexts, shortcuts }: RunningNode): number {
    if (shortcuts.length === 0 || this.tracer.active) return nexts[0]!;
    for (let i = 0; i < shortcuts.length; i++) if (this.#nodes[shortcuts[i]!]!.disabled) return nexts[0]!;
    return shortcuts[0]!;
  }

  /** Moves packets that are pending in nodes, lowest rank first, until none is left. */
  #dispatch(): void {
    const nodes = this.#nodes;
    while (this.#cursor < nodes.length) {
      const node = nodes[this.#cursor]!;
      let vector = node.full.pop();
      let count = L.VECTOR_SIZE;
      if (vector === undefined) {
        if (node.open === 0) {
          this.#cursor++;
          continue;
        }
        vector = node.open;
        count = node.count;
        node.open = 0;
      }
      this.#run(node, vector, count);
      this.#account(node, count);
    }
  }

  #run(node: RunningNode, vector: number, count: number): void {
    const tracing = this.tracer.active;
    if (node.output) {
      if (tracing) this.#trace(node, vector, count, true);
      node.process(node.block, vector, count, this.#worker.nexts);
      this.#spare.push(vector);
      return;
    }
    if (node.disabled) {
      this.#fail(node, vector, count, L.FAILURE_DISABLED, 'disabled');
      return;
    }
    let slot: number;
    try {
      slot = node.process(node.block, vector, count, this.#worker.nexts);
    } catch (error) {
      this.#fail(node, vector, count, L.FAILURE_TRAP, `failed: ${inWords(error)}`);
      this.#trapped(node, inWords(error));
      return;
    }
    if (tracing) this.#trace(node, vector, count, false);
    if (slot === L.MIXED) this.#scatter(node, vector, count);
    else if (slot >= 0 && slot < node.nexts.length) this.#handOver(node.nexts[slot]!, vector, count);
    else this.#fail(node, vector, count, L.FAILURE_BAD_NEXT, 'named a next slot it does not have');
  }

  /** Gives a whole vector to a node; without copying if the node has none open. */
  #handOver(to: number, vector: number, count: number): void {
    const node = this.#nodes[to]!;
    if (to < this.#cursor) this.#cursor = to;
    if (node.open === 0) {
      node.open = vector;
      node.count = count;
      return;
    }
    const { u32 } = this.#memory;
    for (let i = 0, at = vector >>> 2; i < count; i++) this.#append(node, u32[at + i]!);
    this.#spare.push(vector);
  }

  /** Gives each packet of a vector to the node that its next slot names. */
  #scatter(node: RunningNode, vector: number, count: number): void {
    const { u32 } = this.#memory;
    for (let i = 0, at = vector >>> 2; i < count; i++) {
      const buffer = u32[at + i]!;
      let to = node.nexts[this.#nextSlots[i]!];
      if (to === undefined) {
        this.#packet.at(buffer).reason = node.failures + L.FAILURE_BAD_NEXT;
        to = this.#drop;
      }
      if (to < this.#cursor) this.#cursor = to;
      this.#append(this.#nodes[to]!, buffer);
    }
    this.#spare.push(vector);
  }

  #append(node: RunningNode, buffer: number): void {
    if (node.open === 0) {
      node.open = this.#spare.pop()!;
      node.count = 0;
    } else if (node.count === L.VECTOR_SIZE) {
      node.full.push(node.open);
      node.open = this.#spare.pop()!;
      node.count = 0;
    }
    this.#memory.u32[(node.open >>> 2) + node.count++] = buffer;
  }

  /** Drops a vector whose node failed. The failure costs these packets and is counted; the graph goes on. */
  #fail(node: RunningNode, vector: number, count: number, failure: number, what: string): void {
    const { u32 } = this.#memory;
    for (let i = 0, at = vector >>> 2; i < count; i++) {
      const packet = this.#packet.at(u32[at + i]!);
      packet.reason = node.failures + failure;
      if ((packet.flags & L.FLAG_TRACED) !== 0) this.tracer.step(packet.buffer, node.name, what);
    }
    this.#handOver(this.#drop, vector, count);
  }

  /** Notes a trap, and disables the node if it has trapped too often of late: else it would cost time for ever. */
  #trapped(node: RunningNode, why: string): void {
    this.#clock.read();
    const now = this.#clock.ms[0]!;
    const first = node.traps === undefined;
    node.traps ??= [];
    node.traps.push(now);
    if (node.traps.length > MAX_TRAPS) node.traps.shift();
    node.disabled = node.traps.length === MAX_TRAPS && now - node.traps[0]! <= TRAP_WINDOW_MS;
    if (node.disabled) this.#memory.f64[node.stats + (STATS_DISABLED >>> 3)] = 1;
    if (first || node.disabled) this.#onFailure({ node: node.name, why, disabled: node.disabled });
  }

  #pick(input: RunningNode, vector: number, count: number): void {
    const now = this.breathed[0]!;
    const { u32 } = this.#memory;
    for (let i = 0, at = vector >>> 2; i < count; i++) {
      const packet = this.#packet.at(u32[at + i]!);
      if (!this.tracer.pick(packet.buffer, now)) break;
      packet.flags |= L.FLAG_TRACED;
    }
    this.#trace(input, vector, count, false);
  }

  #trace(node: RunningNode, vector: number, count: number, last: boolean): void {
    const { u32 } = this.#memory;
    for (let i = 0, at = vector >>> 2; i < count; i++) {
      const packet = this.#packet.at(u32[at + i]!);
      if ((packet.flags & L.FLAG_TRACED) === 0) continue;
      this.tracer.step(packet.buffer, node.name, this.#words(node, packet));
      if (last) this.tracer.end(packet.buffer, this.#worker.index);
    }
  }

  /** What a node says of a packet. It is told even if the node can't say it: words must not cost packets. */
  #words({ trace }: RunningNode, packet: PacketView): string {
    try {
      return trace?.(packet, this.#memory) ?? '';
    } catch (error) {
      return `(its trace failed: ${inWords(error)})`;
    }
  }

  /** Books a call of a node, and all the time since the last one if it is timed. */
  #account(node: RunningNode, packets: number): void {
    const { f64 } = this.#memory;
    f64[node.stats]! += 1;
    f64[node.stats + 1]! += packets;
    if (this.#weight === 0) return;
    const { ms } = this.#clock;
    this.#clock.read();
    f64[node.stats + 2]! += (ms[0]! - this.#since[0]!) * (1e6 * this.#weight);
    this.#since[0] = ms[0]!;
  }

  #tick(): void {
    this.#clock.read();
    const now = this.#clock.ms[0]!;
    this.#since[0] = now;
    this.breathed[0] = now;
    const at = this.#worker.block >>> 2;
    this.#memory.u32[at + (L.WORKER_NOW >> 2)] = secondsAt(now);
    this.#memory.u32[at + (L.WORKER_NOW_MS >> 2)] = Math.floor(now);
  }

  #bind(
    node: LinkedNode,
    layout: GraphLayout,
    modules: KernelModules,
    instances: Map<string, WebAssembly.Exports>,
    onPost: (message: unknown) => void,
  ): Process {
    const { declaration } = node;
    const { process } = declaration;
    if (!isKernel(process)) {
      const context = makeContext(this.#memory, layout, this.#worker, node, onPost);
      const { u32 } = this.#memory;
      return (_, vector, count) =>
        process(context, u32.subarray(vector >>> 2, (vector >>> 2) + L.VECTOR_SIZE), count, this.#nextSlots);
    }
    const { href } = process.module;
    const module = modules.get(href);
    if (!module) throw new GraphError('LBD_GRAPH_KERNEL', `node ${declaration.name}: module ${href} is not compiled`);
    const exports = instances.get(href) ?? this.#memory.instantiate(module);
    instances.set(href, exports);
    const kernel = exports[process.export];
    if (typeof kernel !== 'function') {
      throw new GraphError('LBD_GRAPH_KERNEL', `node ${declaration.name}: ${href} does not export ${process.export}`);
    }
    return kernel as Process;
  }
}

/** Anything can be thrown, and some things can't even be printed. */
function inWords(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'something that can not be printed';
  }
}
