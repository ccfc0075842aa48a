export { type Clock, type ClockCell, cellOf, monotonicClock, secondsAt } from './clock.ts';
export { GraphError, type GraphErrorCode } from './errors.ts';
export { FreeStack } from './free-stack.ts';
export { type Counter, Graph, type LinkedArc, type LinkedGraph, type LinkedNode } from './graph.ts';
export {
  allocateBuffers,
  allocateGraph,
  type BufferAddresses,
  FeatureTable,
  type GraphLayout,
  type GraphSizes,
  type WorkerLayout,
} from './graph-memory.ts';
export * from './layout.ts';
export * from './node.ts';
export { PacketView } from './packet-view.ts';
export {
  compileKernels,
  type KernelModules,
  MAX_TRAPS,
  type NodeFailure,
  Runtime,
  type RuntimeOptions,
} from './runtime.ts';
export { type CounterValue, GraphStats, type NodeStats } from './stats.ts';
export { formatTrace, type Trace, Tracer, type TraceStep } from './trace.ts';
