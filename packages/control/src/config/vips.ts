import type { z } from 'zod';
import type { LbConf, VipSpec } from '../model.ts';
import { wordFor } from '../values/check.ts';
import * as fields from '../values/fields.ts';
import * as operations from '../values/operations.ts';
import { repeats } from '../values/repeats.ts';

export interface ConfiguredServer {
  readonly address: string;
  readonly weight: number;
}

/** A VIP of the configuration file, with its servers. */
export interface ConfiguredVip {
  readonly vip: VipSpec;
  readonly servers: readonly ConfiguredServer[];
}

const server = fields.record({
  address: fields.serverAddress(),
  weight: fields.weight().default(100).describe('Share of new flows, percent; 0 gives it none.'),
});

/** Checks what its fields alone do not show, with the operation's own schema; names fields as the file does. */
function pass<T>(schema: z.ZodType, value: unknown, context: z.core.$RefinementCtx): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data as T;
  for (const { path, message } of result.error.issues) {
    context.addIssue({
      code: 'custom',
      path: path.map((part) => (typeof part === 'string' ? wordFor(part) : part)),
      message,
    });
  }
  return undefined as never;
}

function given(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

export const vipSchema = fields
  .record({
    prefix: fields.prefix().describe('The address or network of the VIP, with its length.'),
    protocol: fields
      .protocol()
      .optional()
      .describe('With `port`: a per-port VIP. Without both: all ports and protocols.'),
    port: fields.port().optional(),
    encap: fields
      .name('the name of an encap')
      .default(operations.DEFAULT_ENCAP)
      .describe('How packets get to the servers.'),
    type: fields.serviceType().default('clusterip'),
    target_port: fields.port().optional().describe('nat4 and nat6: the port that the servers listen on.'),
    node_port: fields.port().optional().describe('Type nodeport: the port on the addresses of lbd itself.'),
    dscp: fields.dscp().optional().describe('l3dsr: the DSCP that tells the servers which VIP it is.'),
    new_len: fields
      .newLen()
      .default(operations.DEFAULT_NEW_LEN)
      .describe('Slots of the new-flow table, a power of two.'),
    src_ip_sticky: fields.flag().default(false).describe('All flows of a client go to one server.'),
    as: fields.list(server, 'servers').default([]).describe('The application servers.'),
  })
  .transform((file, context): ConfiguredVip => {
    const { as: servers, target_port, node_port, new_len, src_ip_sticky, ...same } = file;
    const camel = { targetPort: target_port, nodePort: node_port, newLen: new_len, srcIpSticky: src_ip_sticky };
    const vip = pass<VipSpec>(operations.vipSpec, given({ ...same, ...camel }), context);
    const addresses = servers.map(({ address }) => address);
    for (const i of repeats(addresses)) {
      context.addIssue({ code: 'custom', path: ['as', i, 'address'], message: `${addresses[i]} is given twice` });
    }
    return { vip, servers };
  });

export const lbSchema = fields
  .record({
    'ip4-src-address': fields.ip4Address().optional().describe('Source of IPv4 tunnel headers.'),
    'ip6-src-address': fields.ip6Address().optional().describe('Source of IPv6 tunnel headers.'),
    buckets: fields.buckets().optional().describe('Sticky buckets of each worker, four flows each; 1024 unless told.'),
    timeout: fields
      .timeout()
      .optional()
      .describe('How long a flow without packets stays known, seconds; 40 unless told.'),
    'flow-hash': fields
      .flowHash()
      .optional()
      .describe(
        'Chooses servers of new flows; live ones stay. crc32c agrees with VPP; keyed can not be predicted by senders.',
      ),
    fragment: fields
      .flag()
      .optional()
      .describe(
        'IPv4 packets without DF that are too big for the way to their server are fragmented (unless told), or else dropped.',
      ),
  })
  .transform((file): LbConf => {
    const { 'ip4-src-address': ip4SrcAddress, 'ip6-src-address': ip6SrcAddress, 'flow-hash': flowHash, ...same } = file;
    return given({ ...same, ip4SrcAddress, ip6SrcAddress, flowHash }) as LbConf;
  });
