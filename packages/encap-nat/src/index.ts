export { nat4, nat6 } from './nat.ts';
export { NatControl } from './nat-control.ts';
export { natNodes } from './nodes.ts';
export { DEFAULT_SESSIONS, DEFAULT_TIMEOUTS, type NatOptions, type NatTimeouts, natOptions } from './options.ts';
export { allocateNat, type NatHandles } from './tables.ts';
