import { z } from 'zod';
import * as fields from '../values/fields.ts';

const common = {
  name: fields.interfaceName().describe('The name of the interface: the kernel’s, or for pcap one of your own.'),
  queues: fields
    .integer(1, 64)
    .optional()
    .describe('How many workers serve it, among whom its receive queues are dealt out; all workers unless told.'),
};

const file = (what: string) => fields.name(`the name of a ${what} file`);

const ring = (what: string) =>
  fields.powerOfTwo(64, 32768).optional().describe(`Entries of the ${what} ring, a power of two; 2048 unless told.`);

/**
 * One schema for each driver; what is not common to all is passed on to the driver as its options. The driver has a schema of its
 * own for these (a test of lbd compares), since this package loads none.
 */
export const interfaceSchema = z.discriminatedUnion(
  'driver',
  [
    fields
      .record({
        ...common,
        driver: z.literal('af_xdp'),
        mode: fields
          .word('auto', 'native', 'generic')
          .default('auto')
          .describe(
            'Where the XDP program runs: in the network driver (native), behind it (generic), or in the driver if it is able to.',
          ),
        'zero-copy': fields
          .word('auto', 'off', 'on')
          .optional()
          .describe('Let the hardware use the packet buffers themselves; auto unless told.'),
        'rx-ring': ring('RX'),
        'tx-ring': ring('TX'),
        'fill-ring': ring('fill'),
        'completion-ring': ring('completion'),
      })
      .describe(
        'AF_XDP sockets: the fast way. Needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK.',
      ),
    fields
      .record({
        ...common,
        driver: z.literal('af_packet'),
        hide: fields
          .flag()
          .optional()
          .describe('Hide lbd’s traffic from the kernel with nftables, where that works; true unless told.'),
        'receive-buffer': fields
          .integer(65536, 0x3fffffff)
          .optional()
          .describe('Receive buffer of each socket, bytes; 8 MiB unless told.'),
      })
      .describe('Packet sockets: works in containers and unprivileged user namespaces.'),
    fields
      .record({
        ...common,
        driver: z.literal('pcap'),
        in: file('pcap').optional().describe('The capture to take packets from.'),
        out: file('pcap').optional().describe('The capture that gets the packets sent; interfaces may share one.'),
        punt: file('pcap').optional().describe('The capture that gets the packets punted.'),
        vector: fields.integer(1, 256).optional().describe('Packets that come in at a time; 256 unless told.'),
        loop: fields.flag().optional().describe('Start again at the end of the input, for ever.'),
      })
      .describe('Capture files: needs no privilege.'),
  ],
  { error: () => 'must have a driver: af_xdp, af_packet or pcap' },
);

export type InterfaceConfig = z.output<typeof interfaceSchema>;

/** What the driver is to be told, beside the interface's name and queues. */
export function driverOptions(config: InterfaceConfig): Record<string, unknown> {
  const { name: _name, driver: _driver, queues: _queues, ...options } = config;
  return options;
}
