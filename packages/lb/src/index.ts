export {
  defineEncap,
  ENCAP_API,
  type Encap,
  type EncapControl,
  type EncapFeature,
  type EncapHost,
  type Family,
  type NoOptions,
} from './encap.ts';
export { checkEncap } from './encap-check.ts';
export { describeOptions, type EncapOption, encapOptions } from './encap-options.ts';
export { LbError, type LbErrorCode } from './errors.ts';
export type { LbHost, LbTask } from './host.ts';
export * from './layout.ts';
export { LoadBalancer } from './load-balancer.ts';
export * from './model.ts';
export { type ChooserTypes, EXPRESS_FAN_OUT, expressNodes, lbShortcuts } from './nodes/express.ts';
export { ENCAP_FAN_OUT, lbFeatures, lbNodes } from './nodes/index.ts';
export { portKey } from './port-key.ts';
export { allocateLb, type LbHandles, type LbSizes } from './tables.ts';
export { serverOf, toServer } from './to-server.ts';
export { beginLbTask, runLbTask } from './worker-tasks.ts';
