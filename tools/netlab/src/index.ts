export type { UdpLoad, UdpResult } from './actor/echo.ts';
export type { HttpFlow, HttpLoad, HttpResult } from './actor/http.ts';
export type { Methods } from './actor/main.ts';
export { Actor } from './actor.ts';
export { Capture } from './capture.ts';
export { Lab, Switch } from './lab.ts';
export {
  BalancerLab,
  type BalancerLabOptions,
  CLIENT_SIDE,
  SERVER_SIDE,
  VIP,
  VIP_KEY,
  VIP_URL,
} from './lbd/balancer-lab.ts';
export { Daemon, type DaemonConfig, type DaemonOptions, LBCTL, LBD, type Place } from './lbd/daemon.ts';
export type { End, EndOptions, LinkOptions } from './link.ts';
export { type ExecOptions, Namespace, type Output } from './namespace.ts';
export { labSuite, obstacle, type Privileges, privileges } from './privileges.ts';
export { type Exit, Running } from './running.ts';
export type { TunnelKind } from './tunnel.ts';
export { sleep, type WaitOptions, waitFor } from './wait.ts';
