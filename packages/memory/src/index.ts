export { type Allocation, Arena, MAX_BYTES, Memory, OutOfMemoryError } from './arena.ts';
export { Epochs, WorkerEpoch } from './epochs.ts';
