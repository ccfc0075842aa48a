export { afPacket } from './af-packet-driver.ts';
export type { AfPacketDetails } from './control.ts';
export { buildFilter, type Return, type Wanted } from './filter.ts';
export { type AfPacketOptions, afPacketOptionsSchema } from './options.ts';
export { type Cut, planCut, writeSegment } from './segment.ts';
