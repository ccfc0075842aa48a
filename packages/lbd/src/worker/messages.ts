import type { GraphLayout, KernelModules, NodeFailure, Trace } from '@lbd/graph';
import type { LbTask } from '@lbd/lb';
import type { GraphPlan } from '../dataplane.ts';

/** What a worker thread is started with. Structured-cloneable. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory;
  readonly index: number;
  readonly plan: GraphPlan;
  readonly layout: GraphLayout;
  readonly modules: KernelModules;
  /** Address of its word of the epochs. */
  readonly epoch: number;
  /** Address of its status block: STATUS_ words. */
  readonly status: number;
  /** Wakes it while it sleeps on file descriptors; -1 if no driver has any. */
  readonly eventFd: number;
}

/** From the main thread to a worker. */
export type ToWorker =
  /** Begin to breathe: the configuration is complete. */
  | { readonly kind: 'go' }
  | { readonly kind: 'task'; readonly id: number; readonly task: LbTask }
  | { readonly kind: 'trace'; readonly count: number }
  | { readonly kind: 'stop' };

/** From a worker to the main thread. */
export type FromWorker =
  | { readonly kind: 'ready' }
  /** A task is done, or failed. */
  | { readonly kind: 'done'; readonly id: number; readonly error?: string }
  | { readonly kind: 'traces'; readonly traces: readonly Trace[] }
  /** What a node posted. */
  | { readonly kind: 'post'; readonly message: unknown }
  /** A node trapped for the first time, or is disabled from now on. */
  | { readonly kind: 'failed'; readonly failure: NodeFailure }
  /** Every input has ended. */
  | { readonly kind: 'finished' };

// The status block: words that both sides see at once.

/** i32: 1 if there are messages to read. */
export const STATUS_MAIL = 0;
/** f64: breaths taken. */
export const STATUS_BREATHS = 8;
/** f64: times it slept. */
export const STATUS_SLEEPS = 16;
/** i32: times that the longest pause was to be forgotten; written by the main thread. */
export const STATUS_FORGETS = 24;
/** f64: the longest pause, milliseconds, since it was last forgotten. */
export const STATUS_LONGEST = 32;
/** f64: all pauses together, milliseconds. */
export const STATUS_PAUSED = 40;
/** PAUSE_BUCKETS f64: pauses by their length, see pauses.ts. */
export const STATUS_PAUSES = 64;
export const PAUSE_BUCKETS = 24;
export const STATUS_BYTES = 256;
