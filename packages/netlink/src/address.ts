import { addressText } from '@lbd/packet';
import * as C from './constants.ts';
import { type Bytes, needFixed, parseAttributes } from './message.ts';

/** RFC 3549's scopes. */
const SCOPES = new Map([
  [0, 'global'],
  [200, 'site'],
  [253, 'link'],
  [254, 'host'],
]);

/** An address of an interface. */
export interface Address {
  readonly family: 4 | 6;
  readonly ifindex: number;
  readonly address: string;
  /** Bits of the prefix that is on the link. */
  readonly length: number;
  /** The other end of a point-to-point address; empty if none. */
  readonly peer: string;
  /** `global`, `link`, `host`, `site`, or a number. */
  readonly scope: string;
  /** Duplicate address detection is not over: it can't be used yet. */
  readonly tentative: boolean;
}

/**
 * struct ifaddrmsg: u8 family, u8 prefix length, u8 flags, u8 scope, u32 interface index.
 * @returns undefined for families that are not IP
 */
export function parseAddress(body: Bytes): Address | undefined {
  needFixed(body, C.IFADDRMSG_BYTES);
  const family = ipFamily(body.u8(0));
  const attributes = parseAttributes(body, C.IFADDRMSG_BYTES);
  const remote = attributes.get(C.IFA_ADDRESS)?.bytes;
  // IPv4 has the own address in IFA_LOCAL; IPv6 only on point-to-point links.
  const own = attributes.get(C.IFA_LOCAL)?.bytes ?? remote;
  if (!family || !own) return undefined;
  const address = addressText(own);
  const peer = remote ? addressText(remote) : address;
  const scope = body.u8(3);
  return {
    family,
    ifindex: body.u32(4),
    address,
    length: body.u8(1),
    peer: peer === address ? '' : peer,
    scope: SCOPES.get(scope) ?? String(scope),
    tentative: ((attributes.get(C.IFA_FLAGS)?.u32() ?? body.u8(2)) & C.IFA_F_TENTATIVE) !== 0,
  };
}

/** 4 or 6 for the kernel's AF_ number. */
export function ipFamily(family: number): 4 | 6 | undefined {
  if (family === C.AF_INET) return 4;
  return family === C.AF_INET6 ? 6 : undefined;
}
