/**
 * The counterparts of VPP's binary API, by their names, as JSON. Numbers of VPP (protocol 6, encap 3) are taken as well
 * as words; so are VPP's ways to say "none" (protocol 255, port 0). Replies use words.
 */
import { z } from 'zod';
import type { Lbd, VipKey, VipState } from '../model.ts';
import * as fields from '../values/fields.ts';
import { ENCAP_NAMES, operations } from '../values/operations.ts';

/** A line of the API's table. */
export interface ApiMessage {
  readonly summary: string;
  readonly body: z.ZodType;
  readonly run: (lbd: Lbd, body: never) => Promise<unknown>;
}

function message<T extends z.ZodType>(
  summary: string,
  body: T,
  run: (lbd: Lbd, body: z.output<T>) => Promise<unknown>,
): ApiMessage {
  return { summary, body, run };
}

const NO_PROTOCOL = 255;

/** A word, or the number that VPP has for it. */
function numbered<T extends readonly string[]>(words: T, what: string) {
  const error = `must be ${words.map((word, i) => `${word} (${i})`).join(', ')}${what}`;
  const number = z.number({ error }).int({ error }).min(0, { error });
  return z.union([z.string().regex(/^\S+$/), number.max(words.length - 1, { error })], { error });
}

const protocol = z.union([z.enum(['tcp', 'udp']), z.literal([6, 17, NO_PROTOCOL])], {
  error: 'must be tcp (6), udp (17), or 255 or left out for all',
});
const port = fields.integer(0, 65535, ', 0 for all');

const key = { pfx: fields.prefix(), protocol: protocol.optional(), port: port.optional() };
const flag = () => fields.flag().default(false);

type Key = { pfx: string; protocol?: unknown; port?: number | undefined };

function keyOf({ pfx, protocol, port }: Key): { prefix: string; protocol?: string; port?: number } {
  const words: Record<string, string> = { '6': 'tcp', '17': 'udp', tcp: 'tcp', udp: 'udp' };
  const word = words[String(protocol)];
  return { prefix: pfx, ...(word ? { protocol: word } : {}), ...(port ? { port } : {}) };
}

function given(object: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

const DONE = { retval: 0 };

const conf = fields.record({
  ip4_src_address: fields.ip4Address().optional(),
  ip6_src_address: fields.ip6Address().optional(),
  sticky_buckets_per_core: fields.buckets().optional(),
  flow_timeout: fields.timeout().optional(),
});

const vipFields = {
  ...key,
  encap: numbered(ENCAP_NAMES, ' or the name of a plugin’s').optional(),
  dscp: fields.dscp().optional(),
  type: numbered(['clusterip', 'nodeport'], '').optional(),
  target_port: port.optional(),
  node_port: port.optional(),
  new_flows_table_length: fields.newLen().optional(),
  is_del: flag(),
};
const vip = fields.record(vipFields);
const vip2 = fields.record({ ...vipFields, src_ip_sticky: flag() });

async function addDelVip(lbd: Lbd, body: z.output<typeof vip> & { src_ip_sticky?: boolean }): Promise<unknown> {
  if (body.is_del) {
    await lbd.lb.deleteVip(operations.vipKey(keyOf(body)));
    return DONE;
  }
  const name = (value: string | number | undefined, words: readonly string[]) =>
    typeof value === 'number' ? words[value] : value;
  const spec = operations.vipSpec(
    given({
      ...keyOf(body),
      encap: name(body.encap, ENCAP_NAMES),
      dscp: body.dscp,
      type: name(body.type, ['clusterip', 'nodeport']),
      targetPort: body.target_port || undefined,
      nodePort: body.node_port || undefined,
      newLen: body.new_flows_table_length,
      srcIpSticky: body.src_ip_sticky,
    }),
  );
  await lbd.lb.addVip(spec);
  return DONE;
}

const asFields = { ...key, as_address: fields.serverAddress(), is_del: flag(), is_flush: flag() };
const as = fields.record(asFields);
const as2 = fields.record({ ...asFields, weight: fields.weight().optional() });

async function addDelAs(lbd: Lbd, body: z.output<typeof as> & { weight?: number | undefined }): Promise<unknown> {
  const operation = { vip: keyOf(body), addresses: [body.as_address], flush: body.is_flush };
  if (body.is_del) await lbd.lb.deleteServers(operations.deleteServers(operation));
  else await lbd.lb.addServers(operations.addServers({ ...operation, ...given({ weight: body.weight }) }));
  return DONE;
}

const filter = fields.record({ ...key, pfx: fields.prefix().optional() });

/** The VIPs that a dump asks for: all, or those of the key given. */
async function dump(lbd: Lbd, body: z.output<typeof filter>): Promise<readonly VipState[]> {
  const vips = await lbd.lb.vips();
  const wanted = keyOf(body as Key);
  return vips.filter(
    (vip) =>
      !vip.removed &&
      (wanted.prefix === undefined || vip.prefix === wanted.prefix) &&
      (wanted.protocol === undefined || vip.protocol === wanted.protocol) &&
      (wanted.port === undefined || vip.port === wanted.port),
  );
}

/** How replies name a VIP. */
function vipName({ prefix, protocol, port }: VipKey): object {
  return { pfx: prefix, protocol: protocol ?? NO_PROTOCOL, port: port ?? 0 };
}

async function dumpServers(lbd: Lbd, body: z.output<typeof filter>, v2: boolean): Promise<unknown> {
  const vips = await dump(lbd, body);
  return vips.flatMap((vip) =>
    vip.servers.map(({ address, state, weight, buckets }) => ({
      vip: vipName(vip),
      app_srv: address,
      flags: state === 'used' ? 1 : 0,
      ...(v2 ? { weight, num_buckets: buckets } : {}),
    })),
  );
}

const nat = fields.record({ interface: fields.interfaceName(), is_add: fields.flag().default(true) });

function natMessage(family: 4 | 6): ApiMessage {
  const summary = `Translate the replies of IPv${family} servers that come in on an interface (is_add), or no more`;
  return message(summary, nat, async (lbd, body) => {
    await lbd.lb.setNatInterface(operations.natInterface({ family, interface: body.interface, enable: body.is_add }));
    return DONE;
  });
}

export const messages: Readonly<Record<string, ApiMessage>> = {
  lb_conf: message('Change the settings that all VIPs share', conf, async ({ lb }, body) => {
    const { ip4_src_address, ip6_src_address, sticky_buckets_per_core, flow_timeout } = body;
    const change = {
      ip4SrcAddress: ip4_src_address,
      ip6SrcAddress: ip6_src_address,
      buckets: sticky_buckets_per_core,
      timeout: flow_timeout,
    };
    await lb.lbConf(operations.lbConf(given(change)));
    return DONE;
  }),
  lb_conf_get: message('The settings that all VIPs share', fields.record({}), async ({ lb }) => {
    const { ip4SrcAddress = null, ip6SrcAddress = null, buckets, timeout } = await lb.lbConfGet();
    return {
      ...DONE,
      ip4_src_address: ip4SrcAddress,
      ip6_src_address: ip6SrcAddress,
      sticky_buckets_per_core: buckets,
      flow_timeout: timeout,
    };
  }),
  lb_add_del_vip: message('Add or delete a VIP', vip, addDelVip),
  lb_add_del_vip_v2: message('Add or delete a VIP, with src_ip_sticky', vip2, addDelVip),
  lb_add_del_as: message('Add or delete an application server', as, addDelAs),
  lb_add_del_as_v2: message('Add, update or delete an application server, with weight', as2, addDelAs),
  lb_as_set_weight: message(
    'Change the weight of an application server',
    fields.record({ ...key, as_address: fields.serverAddress(), weight: fields.weight(), is_flush: flag() }),
    async ({ lb }, body) => {
      const { as_address: address, weight, is_flush: flush } = body;
      await lb.setWeight(operations.setWeight({ vip: keyOf(body), address, weight, flush }));
      return DONE;
    },
  ),
  lb_flush_vip: message('Forget the flows of a VIP', fields.record(key), async ({ lb }, body) => {
    await lb.flushVip(operations.vipKey(keyOf(body)));
    return DONE;
  }),
  lb_vip_dump: message('The VIPs, or those of one prefix', filter, async (lbd, body) =>
    (await dump(lbd, body)).map((vip) => ({
      vip: vipName(vip),
      encap: vip.encap,
      dscp: vip.dscp ?? null,
      srv_type: vip.type,
      target_port: vip.targetPort ?? 0,
      node_port: vip.nodePort ?? 0,
      flow_table_length: vip.newLen,
      src_ip_sticky: vip.srcIpSticky,
    })),
  ),
  lb_as_dump: message('The application servers, or those of one VIP', filter, (lbd, body) =>
    dumpServers(lbd, body, false),
  ),
  lb_as_v2_dump: message('The application servers, with weight and num_buckets', filter, (lbd, body) =>
    dumpServers(lbd, body, true),
  ),
  lb_add_del_intf_nat4: natMessage(4),
  lb_add_del_intf_nat6: natMessage(6),
};
