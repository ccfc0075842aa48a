import type { Encap } from './encap.ts';

/** Every field of an encap. */
const FIELDS: Readonly<Record<keyof Encap, true>> = {
  api: true,
  name: true,
  summary: true,
  vipFamilies: true,
  serverFamily: true,
  overhead: true,
  tunnel: true,
  vip: true,
  options: true,
  allocate: true,
  nodes: true,
  express: true,
  keepsFlows: true,
  features: true,
  shortcuts: true,
  show: true,
  control: true,
};
/** Headroom of packets that is left for outer headers, less Ethernet and a VLAN tag. */
const MAX_OVERHEAD = 200;
/** The bytes of the outer IP header alone. */
const LEAST_TUNNEL = { 4: 20, 6: 40 } as const;

type Refuse = (field: string, value: unknown, allowed: string) => never;

/**
 * Checks that a value is an encap, whatever somebody exported: types are not there at run time.
 * @throws TypeError that names the encap and the field, and says what is allowed
 */
export function checkEncap<E extends Encap>(value: E): E {
  const encap = value as Partial<Record<keyof Encap, unknown>>;
  const name = typeof encap.name === 'string' ? encap.name : '(without a name)';
  const refuse: Refuse = (field, wrong, allowed) => {
    throw new TypeError(`encap ${name}: ${field} ${shown(wrong)}: must be ${allowed}`);
  };
  if (typeof encap.name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(encap.name)) {
    refuse('name', encap.name, 'in kebab case, as in my-encap');
  }
  for (const field of Object.keys(encap)) {
    if (!(field in FIELDS)) refuse('field', field, `one of ${Object.keys(FIELDS).join(', ')}`);
  }
  if (typeof encap.summary !== 'string' || !/^\S.*$/.test(encap.summary))
    refuse('summary', encap.summary, 'a line of text');
  if (encap.express !== undefined && typeof encap.express !== 'string')
    refuse('express', encap.express, 'the name of a node');
  if (encap.keepsFlows !== undefined && typeof encap.keepsFlows !== 'boolean')
    refuse('keepsFlows', encap.keepsFlows, 'true, false, or left out');
  checkFamilies(encap, refuse);
  const { overhead } = encap;
  if (!isInteger(overhead, 0, MAX_OVERHEAD)) refuse('overhead', overhead, `0 to ${MAX_OVERHEAD} bytes`);
  checkTunnel(encap, refuse);
  checkVip(encap.vip, refuse);
  checkOptions(encap.options, refuse);
  if (typeof encap.nodes !== 'function') refuse('nodes', encap.nodes, 'a function');
  for (const field of ['allocate', 'show', 'control'] as const) {
    if (encap[field] !== undefined && typeof encap[field] !== 'function') refuse(field, encap[field], 'a function');
  }
  checkPairs('features', encap.features, 'arc', 'node', refuse);
  for (const { passesVips } of (encap.features ?? []) as ReadonlyArray<{ passesVips?: unknown }>) {
    if (passesVips !== undefined && typeof passesVips !== 'boolean') {
      refuse('features.passesVips', passesVips, 'true, false, or left out');
    }
  }
  checkPairs('shortcuts', encap.shortcuts, 'node', 'instead', refuse);
  return value;
}

function checkFamilies({ vipFamilies, serverFamily }: Partial<Record<keyof Encap, unknown>>, refuse: Refuse): void {
  const isFamily = (family: unknown) => family === 4 || family === 6;
  const list = Array.isArray(vipFamilies) ? (vipFamilies as unknown[]) : [];
  if (list.length === 0 || !list.every(isFamily) || new Set(list).size < list.length) {
    refuse('vipFamilies', vipFamilies, '[4], [6] or [4, 6]');
  }
  if (!isFamily(serverFamily)) refuse('serverFamily', serverFamily, '4 or 6');
}

function checkTunnel(encap: Partial<Record<keyof Encap, unknown>>, refuse: Refuse): void {
  const { tunnel, overhead, serverFamily } = encap;
  if (tunnel === undefined) return;
  const protocols = (tunnel as { protocols?: unknown } | null)?.protocols;
  const list = Array.isArray(protocols) ? (protocols as unknown[]) : [];
  if (list.length === 0 || !list.every((protocol) => isInteger(protocol, 0, 255))) {
    refuse('tunnel.protocols', protocols, 'a list of IP protocols, 0 to 255');
  }
  const least = LEAST_TUNNEL[serverFamily as 4 | 6];
  if ((overhead as number) < least) {
    refuse(
      'overhead',
      overhead,
      `${least} or more, as it is a tunnel: that is what the outer IPv${serverFamily} header takes`,
    );
  }
}

function checkVip(vip: unknown, refuse: Refuse): void {
  if (typeof vip !== 'object' || vip === null) refuse('vip', vip, 'a mapping with targetPort and dscp');
  const { port, targetPort, dscp, ...others } = vip as Record<string, unknown>;
  for (const field of Object.keys(others)) refuse('vip', field, 'one of port, targetPort, dscp');
  if (port !== undefined && port !== 'required') refuse('vip.port', port, "'required', or left out");
  for (const [field, need] of Object.entries({ targetPort, dscp })) {
    if (need !== 'required' && need !== 'refused') refuse(`vip.${field}`, need, "'required' or 'refused'");
  }
  if (targetPort === 'required' && port === undefined) {
    refuse('vip.targetPort', targetPort, "'refused' where vip.port is not 'required'");
  }
}

function checkOptions(options: unknown, refuse: Refuse): void {
  if (options === undefined) return;
  const standard = (options as { '~standard'?: { version?: unknown; validate?: unknown } } | null)?.['~standard'];
  if (standard?.version !== 1 || typeof standard.validate !== 'function') {
    refuse('options', options, 'a Standard Schema (https://standardschema.dev), version 1');
  }
}

/** Of a list of features or of shortcuts: each has two names. */
function checkPairs(field: string, value: unknown, one: string, other: string, refuse: Refuse): void {
  if (value === undefined) return;
  const isPair = (item: unknown) => {
    const fields = (item ?? {}) as Record<string, unknown>;
    return typeof fields[one] === 'string' && typeof fields[other] === 'string';
  };
  if (!Array.isArray(value) || !value.every(isPair)) {
    refuse(field, value, `a list of ${field}, each with ${one} and ${other}`);
  }
}

function isInteger(value: unknown, low: number, high: number): boolean {
  return Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}

/** A value in a few words, whatever it is. */
function shown(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (typeof value === 'string') return `"${value.slice(0, 60)}"`;
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : '{...}';
  return typeof value === 'function' ? '(a function)' : String(value);
}
