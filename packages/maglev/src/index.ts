export { crcFlowHash, flowHash4, flowHash6 } from './crc32c.ts';
export { MaglevError, type MaglevErrorCode } from './errors.ts';
export type { Flow, FlowPorts } from './flow.ts';
export { FlowHash, type FlowHashKind, type FlowHashOptions } from './flow-hash.ts';
export * from './layout.ts';
export { fillNewFlowTable, MAX_LENGTH, maglev, type NewFlowServer, NO_SERVER } from './new-flow-table.ts';
export type { MaglevServer } from './servers.ts';
export { keyedFlowHash, sipHash13 } from './siphash.ts';
