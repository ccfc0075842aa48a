import type { Memory } from '@lbd/memory';
import { addressBytes, type Prefix, parsePrefix, prefixText } from '@lbd/packet';
import type { Encap } from './encap.ts';
import { LbError } from './errors.ts';
import * as L from './layout.ts';
import type { L4Protocol, VipKey, VipSpec } from './model.ts';
import type { LbHandles } from './tables.ts';

export const PROTOCOLS: Readonly<Record<L4Protocol, number>> = { tcp: 6, udp: 17 };

/** A server of a VIP, as the control plane has it. */
export interface Server {
  readonly address: string;
  readonly vip: Vip;
  /** Index of its record. */
  readonly index: number;
  weight: number;
  /** Deleted, but kept until its flows have ended. */
  removed: boolean;
  /** Slots of the new-flow table that are its own. */
  buckets: number;
  /** Its AS_MAX_LENGTH. */
  maxLength: number;
}

/** A VIP, as the control plane has it. */
export interface Vip {
  readonly spec: VipSpec;
  readonly prefix: Prefix;
  readonly encap: Encap;
  /** Index of its record. */
  readonly index: number;
  /** Address of its new-flow table. */
  newFlow: number;
  /** By address, in normal form. */
  readonly servers: Map<string, Server>;
}

/** One text per VIP, whatever the user's spelling of the prefix. */
export function vipId(key: VipKey): string {
  const prefix = prefixText(parsePrefix(key.prefix));
  return key.protocol === undefined ? prefix : `${prefix} ${key.protocol} ${key.port}`;
}

/** As an error message names it. */
export function vipName(key: VipKey): string {
  const prefix = prefixText(parsePrefix(key.prefix));
  return key.protocol === undefined ? `VIP ${prefix}` : `VIP ${prefix} protocol ${key.protocol} port ${key.port}`;
}

/** The 16 bytes of an address as the records and the new-flow table have it: IPv4 behind twelve zero bytes. */
export function wideBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes;
  const wide = new Uint8Array(16);
  wide.set(bytes, 12);
  return wide;
}

/** Checks what one VIP's specification can tell by itself. @throws LbError */
export function checkSpec(spec: VipSpec, encap: Encap): Prefix {
  const prefix = parsePrefix(spec.prefix);
  const where = vipName(spec);
  const refuse = (code: 'LBD_LB_INVALID' | 'LBD_LB_FAMILY', why: string): never => {
    throw new LbError(code, `${where}: ${why}`);
  };
  if (!encap.vipFamilies.includes(prefix.family)) {
    const families = encap.vipFamilies.map((family) => `ip${family}`).join(' and ');
    refuse('LBD_LB_FAMILY', `encap ${encap.name} is for ${families} VIPs`);
  }
  if ((spec.protocol === undefined) !== (spec.port === undefined)) {
    refuse('LBD_LB_INVALID', 'protocol and port go together: give both (a per-port VIP) or neither (all ports)');
  }
  if (encap.vip.port === 'required' && spec.port === undefined) {
    refuse('LBD_LB_INVALID', `encap ${encap.name} needs protocol and port`);
  }
  checkNeed(refuse, encap, 'target_port', encap.vip.targetPort, spec.targetPort);
  checkNeed(refuse, encap, 'dscp', encap.vip.dscp, spec.dscp);
  if (spec.type === 'nodeport' && encap.vip.targetPort !== 'required') {
    refuse('LBD_LB_INVALID', `service type nodeport needs an encap that translates addresses, not ${encap.name}`);
  }
  if (spec.type === 'nodeport' && spec.port === undefined) {
    refuse('LBD_LB_INVALID', 'service type nodeport needs protocol and port');
  }
  if (spec.type !== 'nodeport' && spec.nodePort !== undefined) {
    refuse('LBD_LB_INVALID', 'node_port is for service type nodeport');
  }
  checkRange(refuse, 'node_port', spec.nodePort, 1, 65535);
  checkRange(refuse, 'port', spec.port, 1, 65535);
  checkRange(refuse, 'target_port', spec.targetPort, 1, 65535);
  checkRange(refuse, 'dscp', spec.dscp, 0, 63);
  const { newLen } = spec;
  if (!Number.isInteger(newLen) || newLen < 1 || newLen > 1 << 24 || (newLen & (newLen - 1)) !== 0) {
    refuse('LBD_LB_INVALID', `new_len ${newLen}: must be a power of two, 1 to ${1 << 24}`);
  }
  return prefix;
}

type Refuse = (code: 'LBD_LB_INVALID', why: string) => never;

function checkNeed(refuse: Refuse, encap: Encap, what: string, need: 'required' | 'refused', value: unknown): void {
  if (need === 'required' && value === undefined) refuse('LBD_LB_INVALID', `encap ${encap.name} needs ${what}`);
  if (need === 'refused' && value !== undefined) refuse('LBD_LB_INVALID', `encap ${encap.name} takes no ${what}`);
}

function checkRange(refuse: Refuse, what: string, value: number | undefined, low: number, high: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < low || value > high) {
    refuse('LBD_LB_INVALID', `${what} ${value}: must be from ${low} to ${high}`);
  }
}

/** Checks an address of a server against its VIP's encap. @throws LbError */
export function checkServerAddress(vip: Vip, address: string): Uint8Array {
  const bytes = addressBytes(address);
  const family = bytes.length === 4 ? 4 : 6;
  if (family !== vip.encap.serverFamily) {
    throw new LbError(
      'LBD_LB_FAMILY',
      `AS ${address}: ${vipName(vip.spec)} has encap ${vip.encap.name}, whose ASs have ip${vip.encap.serverFamily} addresses`,
    );
  }
  return bytes;
}

/** Fills a VIP's record, and sets its counters to 0. @param encapPlace place of its encap's node in the fan-out `encap` */
export function writeVip(memory: Memory, lb: LbHandles, vip: Vip, encapPlace: number): void {
  const at = lb.vips + (vip.index << L.VIP_SHIFT);
  const { spec } = vip;
  memory.u8.fill(0, at, at + (1 << L.VIP_SHIFT));
  memory.u32[(at + L.VIP_MASK) >>> 2] = spec.newLen - 1;
  memory.u32[(at + L.VIP_NEW_FLOW) >>> 2] = vip.newFlow;
  memory.u32[(at + L.VIP_ENCAP) >>> 2] = encapPlace;
  memory.u32[(at + L.VIP_FLAGS) >>> 2] =
    (spec.srcIpSticky ? L.VIP_SRC_IP_STICKY : 0) | (vip.encap.keepsFlows ? L.VIP_KEEPS_FLOWS : 0);
  memory.view.setUint16(at + L.VIP_PORT, spec.port ?? 0);
  memory.view.setUint16(at + L.VIP_TARGET_PORT, spec.targetPort ?? 0);
  memory.u8[at + L.VIP_PROTOCOL] = spec.protocol === undefined ? 0 : PROTOCOLS[spec.protocol];
  memory.u8[at + L.VIP_DSCP] = spec.dscp ?? 0;
  memory.u8[at + L.VIP_LENGTH] = vip.prefix.length;
  memory.u8[at + L.VIP_MIN_TTL] = vip.encap.tunnel ? 0 : 2;
  memory.u8.set(wideBytes(vip.prefix.bytes), at + L.VIP_ADDRESS);
  for (const counters of lb.counters) {
    const first = (counters + (vip.index << L.VIP_COUNTERS_SHIFT)) >>> 3;
    memory.u64.fill(0n, first, first + 4);
  }
}
