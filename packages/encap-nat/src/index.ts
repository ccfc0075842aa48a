export { nat4 } from './nat4.ts';
export { Nat4Control } from './nat4-control.ts';
export { nat4Nodes } from './nodes.ts';
export {
  allocateNat,
  DEFAULT_SESSIONS,
  DEFAULT_TIMEOUTS,
  type NatHandles,
  type NatOptions,
  type NatTimeouts,
} from './tables.ts';
