/**
 * The operations on the load balancer as schemas: what is checked of them without knowing any state. Their results have
 * the types of model.ts.
 */
import { z } from 'zod';
import { ControlError } from '../errors.ts';
import type { AddServers, DeleteServers, LbConf, NatInterface, SetWeight, VipKey, VipSpec } from '../model.ts';
import { familyOf } from './address.ts';
import { check } from './check.ts';
import * as fields from './fields.ts';
import { repeats } from './repeats.ts';

export const DEFAULT_ENCAP = 'gre4';
export const DEFAULT_NEW_LEN = 1024;

/** The encaps of VPP, in the order of its numbers: the families of VIPs and ASs, and what they need. */
const ENCAPS: Readonly<Record<string, { vip: readonly (4 | 6)[]; nat?: boolean; dscp?: boolean }>> = {
  gre4: { vip: [4, 6] },
  gre6: { vip: [4, 6] },
  l3dsr: { vip: [4], dscp: true },
  nat4: { vip: [4], nat: true },
  nat6: { vip: [6], nat: true },
};

/** Names of VPP's encaps by number. */
export const ENCAP_NAMES = Object.keys(ENCAPS);

const key = {
  prefix: fields.prefix(),
  protocol: fields.protocol().optional(),
  port: fields.port().optional(),
};

type Context = z.core.$RefinementCtx;

function issue(context: Context, path: string, message: string): void {
  context.addIssue({ code: 'custom', path: [path], message });
}

/** A VIP is all-port (neither protocol nor port) or per-port (both). */
function checkKey(vip: { protocol?: unknown; port?: unknown }, context: Context): void {
  if (vip.protocol !== undefined && vip.port === undefined) {
    issue(
      context,
      'port',
      'is missing: a VIP with a protocol needs a port from 1 to 65535 (leave both out for all ports)',
    );
  }
  if (vip.port !== undefined && vip.protocol === undefined) {
    issue(
      context,
      'protocol',
      'is missing: a VIP with a port needs protocol tcp or udp (leave both out for all ports)',
    );
  }
}

function checkEncap(vip: z.infer<typeof vipFields>, context: Context): void {
  const encap = ENCAPS[vip.encap];
  if (!encap) return; // a plugin's: the model knows
  const family = familyOf(vip.prefix);
  if (family && !encap.vip.includes(family)) {
    const able = ENCAP_NAMES.filter((name) => ENCAPS[name]!.vip.includes(family)).join(', ');
    issue(
      context,
      'encap',
      `${vip.encap} is not allowed for the IPv${family} VIP ${vip.prefix}: must be one of ${able}`,
    );
  }
  if (encap.dscp && vip.dscp === undefined)
    issue(context, 'dscp', `is missing: ${vip.encap} needs a dscp from 0 to 63`);
  if (!encap.dscp && vip.dscp !== undefined)
    issue(context, 'dscp', `is not allowed with encap ${vip.encap}: it is for l3dsr`);
  for (const name of ['targetPort', 'nodePort'] as const) {
    if (!encap.nat && vip[name] !== undefined) {
      issue(context, name, `is not allowed with encap ${vip.encap}: it is for nat4 and nat6`);
    }
  }
  if (!encap.nat && vip.type === 'nodeport') {
    issue(context, 'type', `nodeport is not allowed with encap ${vip.encap}: it is for nat4 and nat6`);
  }
  if (!encap.nat) return;
  if (vip.port === undefined && vip.protocol === undefined) {
    issue(context, 'port', `is missing: ${vip.encap} needs a protocol and a port`);
  }
  if (vip.targetPort === undefined) {
    issue(context, 'targetPort', `is missing: ${vip.encap} needs the ASs' port, from 1 to 65535`);
  }
}

const vipFields = z.strictObject({
  ...key,
  encap: fields.name('the name of an encap').default(DEFAULT_ENCAP),
  dscp: fields.dscp().optional(),
  type: fields.serviceType().default('clusterip'),
  targetPort: fields.port().optional(),
  nodePort: fields.port().optional(),
  newLen: fields.newLen().default(DEFAULT_NEW_LEN),
  srcIpSticky: fields.flag().default(false),
});

export const vipKey = z.strictObject(key).superRefine(checkKey);

export const vipSpec = vipFields.superRefine((vip, context) => {
  checkKey(vip, context);
  checkEncap(vip, context);
  if (vip.type !== 'nodeport' && vip.nodePort !== undefined) {
    issue(context, 'nodePort', 'is not allowed with type clusterip: it is for type nodeport');
  }
});

export const lbConf = z.strictObject({
  ip4SrcAddress: fields.ip4Address().optional(),
  ip6SrcAddress: fields.ip6Address().optional(),
  buckets: fields.buckets().optional(),
  timeout: fields.timeout().optional(),
  flowHash: fields.flowHash().optional(),
  fragment: fields.flag().optional(),
});

const addresses = z
  .array(fields.serverAddress(), { error: 'must be a list of addresses' })
  .min(1, { error: 'is missing: at least one AS address is needed' })
  .superRefine((all, context) => {
    for (const i of repeats(all)) context.addIssue({ code: 'custom', message: `${all[i]} is given twice` });
    if (new Set(all.map(familyOf)).size > 1) {
      context.addIssue({ code: 'custom', message: 'mixes IPv4 and IPv6: the ASs of a VIP have one family' });
    }
  });

export const addServers = z.strictObject({
  vip: vipKey,
  addresses,
  weight: fields.weight().optional(),
  flush: fields.flag().default(false),
});

export const setWeight = z.strictObject({
  vip: vipKey,
  address: fields.serverAddress(),
  weight: fields.weight(),
  flush: fields.flag().default(false),
});

export const deleteServers = z.strictObject({ vip: vipKey, addresses, flush: fields.flag().default(false) });

export const natInterface = z.strictObject({
  family: z.union([z.literal(4), z.literal(6)]),
  interface: fields.interfaceName(),
  enable: fields.flag(),
});

/** Packets to trace. */
export const traceCount = fields.integer(1, 1000);

/** Removes keys without a value, so that results fit types with exact optional properties. */
function compact<T>(value: T): T {
  return Object.fromEntries(Object.entries(value as object).filter(([, v]) => v !== undefined)) as T;
}

function checkVip(raw: unknown): VipSpec {
  const vip = check(vipSpec, raw) as VipSpec;
  const nodePort = vip.type === 'nodeport' ? (vip.nodePort ?? vip.port) : undefined; // VPP takes either
  return compact({ ...vip, nodePort } as VipSpec);
}

function checkConf(raw: unknown): LbConf {
  const change = compact(check(lbConf, raw) as LbConf);
  if (Object.keys(change).length > 0) return change;
  throw new ControlError(
    'LBD_INVALID_VALUE',
    'nothing to change: give one of ip4-src-address, ip6-src-address, buckets, buckets-log2, timeout, flow-hash',
  );
}

const checkServers = <T extends { vip: VipKey }>(schema: z.ZodType, raw: unknown): T => {
  const operation = check(schema, raw) as T;
  return compact({ ...operation, vip: compact(operation.vip) });
};

/** Checks of operations. @throws ControlError LBD_INVALID_VALUE */
export const operations = {
  vipKey: (raw: unknown): VipKey => compact(check(vipKey, raw) as VipKey),
  vipSpec: checkVip,
  lbConf: checkConf,
  addServers: (raw: unknown): AddServers => checkServers(addServers, raw),
  setWeight: (raw: unknown): SetWeight => checkServers(setWeight, raw),
  deleteServers: (raw: unknown): DeleteServers => checkServers(deleteServers, raw),
  natInterface: (raw: unknown): NatInterface => check(natInterface, raw),
  traceCount: (raw: unknown): number => check(z.strictObject({ count: traceCount }), { count: raw }).count,
};
