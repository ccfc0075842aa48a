import type { NodeDeclaration } from '@lbd/graph';
import { describe, type Family } from '@lbd/packet';
import { FibError } from '../errors.ts';
import { kernels } from '../kernels.ts';
import * as L from '../layout.ts';

/** How many ICMP errors a worker sends, for each family (RFC 4443, section 2.4 f; RFC 1812, section 4.3.2.8). */
export interface IcmpErrorLimit {
  /** In the long run, from 0 to 1,000,000. */
  readonly perSecond: number;
  /** At once, after a time without, from 0 to 1,000,000. */
  readonly burst: number;
}

const DEFAULT_LIMIT: IcmpErrorLimit = { perSecond: 1000, burst: 100 };
const MOST = 1_000_000;

/**
 * Makes a packet, as it came, an ICMP error to its sender. Whoever sends it here writes META_REASON, which is counted whether
 * or not there is an error, and META_OPAQUE (askIcmpError of assembly/icmp-error.ts).
 * @throws FibError
 */
export function icmpErrorNode(family: Family, limit: IcmpErrorLimit = DEFAULT_LIMIT): NodeDeclaration {
  for (const [name, value] of Object.entries(limit)) {
    if (Number.isInteger(value) && value >= 0 && value <= MOST) continue;
    throw new FibError('LBD_FIB_OPTION', `ICMP errors: ${name} ${value} must be from 0 to ${MOST}`);
  }
  const name = `ip${family}-icmp-error`;
  return {
    name,
    next: ['drop', `ip${family}-lookup`],
    counters: {
      sent: 'ICMP errors sent',
      'not allowed':
        'no error is sent about ICMP errors, later fragments, nor to or about groups; the packet is dropped',
      'no address': 'the interface that the packet came in on has no address to send from; the packet is dropped',
      'too many': 'errors are sent at a limited rate; the packet is dropped',
    },
    dataBytes: L.TOKEN_BUCKET_BYTES,
    init: (memory, address) => {
      memory.u32[(address + L.TOKEN_BUCKET_RATE) >>> 2] = limit.perSecond;
      memory.u32[(address + L.TOKEN_BUCKET_BURST) >>> 2] = limit.burst;
      memory.u32[(address + L.TOKEN_BUCKET_TOKENS) >>> 2] = limit.burst * 1000;
    },
    process: { module: kernels, export: `ip${family}IcmpError` },
    trace: (packet) => `${name}: ${describe(packet.bytes.slice(), 'ip')}`,
  };
}

/** Answers ICMP echo requests, in place. For packets that whoever sends them here has found to be such. */
export function icmpEchoRequestNode(family: Family): NodeDeclaration {
  const name = `ip${family}-icmp-echo-request`;
  return {
    name,
    next: ['drop', `ip${family}-lookup`],
    counters: {
      replies: 'echo requests answered',
      'not a request': 'not a whole ICMP echo request: dropped',
    },
    process: { module: kernels, export: `ip${family}IcmpEchoRequest` },
    trace: (packet) => `${name}: ${describe(packet.bytes.slice(), 'ip')}`,
  };
}
