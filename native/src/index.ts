export { AddonMissingError } from './addon.ts';
export * from './bpf.ts';
export * from './interface.ts';
export { type NetlinkOptions, NetlinkSocket } from './netlink-socket.ts';
export * from './packet-socket.ts';
export { adviseHugePages, close, EventFd, kickRx, kickTx, poll, Watch } from './poll.ts';
export * from './socket-options.ts';
export { SystemError } from './system-error.ts';
export * from './xdp.ts';
