export * from './driver.ts';
export { DriverError, type DriverErrorCode } from './driver-error.ts';
export {
  countReceiveDrops,
  countReceived,
  countSendDrops,
  countSent,
  type InterfaceCounters,
  sumInterfaceCounters,
} from './interface-counters.ts';
export { type Interface, InterfaceTable, InterfaceTableError } from './interface-table.ts';
export { interfaceOutputNode, OUTPUT } from './nodes/interface-output.ts';
export { PUNT, puntNode } from './nodes/punt.ts';
export { WorkerStates } from './worker-states.ts';
