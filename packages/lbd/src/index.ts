export { Daemon, type DaemonOptions, type Log } from './daemon.ts';
export { buildGraph, type GraphParts, type GraphPlan, loadParts } from './dataplane.ts';
export { version } from './version.ts';
