import { type NodeContext, WORKER_BUFFERS, WORKER_FIRST_BUFFER } from '@lbd/graph';
import { type PortInfo, WorkerStates } from '@lbd/io';
import type { Memory } from '@lbd/memory';
import type { PcapDetails } from './control.ts';
import { Source } from './source.ts';
import { PcapWriter } from './writer.ts';

/** What the nodes of the driver work with in one worker: input files, output files, and when each packet came. */
export class WorkerState {
  /** Packets that come in at a time: what the port with the least asks for. */
  readonly vector: number;
  readonly #sources: Source[];
  readonly #writers = new Map<number, PcapWriter>();
  readonly #out = new Map<number, PcapWriter>();
  readonly #punt = new Map<number, PcapWriter>();
  readonly #inputs: ReadonlySet<number>;
  #times: BigUint64Array | undefined;
  /** In which poll of the input node each buffer got its time: it may have been given to another packet since. */
  #polled = new Uint32Array(0);
  #poll = 0;
  /** When the last packet that came in was captured. */
  #latest = 0n;
  #firstBuffer = 0;

  constructor(ports: readonly PortInfo[], worker: number) {
    const all = ports.map(({ index, queues, details }) => ({ index, queues, details: details as PcapDetails }));
    this.vector = Math.min(256, ...all.map(({ details }) => details.vector));
    // Queue q is worker q's.
    const mine = all.filter(({ queues, details }) => worker < queues && details.in !== undefined);
    this.#sources = mine.map(({ index, details }) => new Source(index, details.in!, details.loop));
    this.#inputs = new Set(mine.map(({ index }) => index));
    for (const { index, details } of all) {
      if (details.outFd !== undefined) this.#out.set(index, this.#writer(details.outFd));
      if (details.puntFd !== undefined) this.#punt.set(index, this.#writer(details.puntFd));
    }
  }

  /** Finds where the worker's buffers are. */
  bind(memory: Memory, worker: number): void {
    if (this.#times) return;
    this.#firstBuffer = memory.u32[(worker + WORKER_FIRST_BUFFER) >>> 2]!;
    this.#times = new BigUint64Array(memory.u32[(worker + WORKER_BUFFERS) >>> 2]!);
    this.#polled = new Uint32Array(this.#times.length);
  }

  /**
   * The input file whose next packet is the earliest; the first of equals.
   * @param quiet a faulty file counts as one that has no packet now, so that the packets before the fault get through
   */
  earliest(quiet = false): Source | undefined {
    let best: Source | undefined;
    for (const source of this.#sources) {
      try {
        const packet = source.peek();
        if (packet && (!best || packet.time < best.packet.time)) best = source;
      } catch (error) {
        if (!quiet) throw error;
        return undefined;
      }
    }
    return best;
  }

  /** Every input file is at its end. A faulty one is not: the next poll of the input node says what is wrong. */
  get finished(): boolean {
    try {
      return this.earliest() === undefined;
    } catch {
      return false;
    }
  }

  /** The input node is polled. */
  polled(): void {
    this.#poll = (this.#poll + 1) >>> 0;
  }

  setTime(buffer: number, time: bigint): void {
    this.#times![buffer - this.#firstBuffer] = time;
    this.#polled[buffer - this.#firstBuffer] = this.#poll;
    this.#latest = time;
  }

  /**
   * When the packet in the buffer was captured; now, if it did not come from a file. What did not come in with the last poll
   * (a fragment that was made, or had to wait) has the time of the last packet that did.
   */
  timeOf(buffer: number, rx: number): bigint {
    if (!this.#inputs.has(rx)) return BigInt(Date.now()) * 1_000_000n;
    const at = buffer - this.#firstBuffer;
    return this.#polled[at] === this.#poll ? this.#times![at]! : this.#latest;
  }

  writerOf(kind: 'out' | 'punt', index: number): PcapWriter | undefined {
    return (kind === 'out' ? this.#out : this.#punt).get(index);
  }

  flush(): void {
    for (const writer of this.#writers.values()) writer.flush();
  }

  close(): void {
    for (const writer of this.#writers.values()) writer.close();
    for (const source of this.#sources) source.close();
  }

  #writer(fd: number): PcapWriter {
    const writer = this.#writers.get(fd) ?? PcapWriter.append(fd);
    this.#writers.set(fd, writer);
    return writer;
  }
}

const states = new WorkerStates<WorkerState>();

/** Makes a state known to the nodes that run with this memory and worker index in this thread. */
export function setState(memory: Memory, worker: number, state: WorkerState): void {
  states.set(memory, worker, state);
}

/** The state of the worker that a node runs in. */
export function stateOf(context: NodeContext): WorkerState {
  const state = states.of(context);
  if (!state) throw new Error('the pcap driver has no worker here: call its worker() before its nodes run');
  state.bind(context.memory, context.worker);
  return state;
}
