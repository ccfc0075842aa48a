export * from './layout.ts';
export * from './node.ts';
export { PacketView } from './packet-view.ts';
