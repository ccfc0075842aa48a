import { lookupCounters } from '@lbd/fib';
import { MIXED, NODE_FANOUT, type NodeContext, type PacketView } from '@lbd/graph';
import { AS_DPO, AS_SHIFT, defineEncap, type Encap, LB_SOURCE4, type LbHandles, serverOf, toServer } from '@lbd/lb';
import { checksum, ip4, packet } from '@lbd/packet';
import { describe, expect, it } from 'vitest';
import { conformance, conformanceChecks, Finding } from './index.ts';

/** What can be wrong with the encap below; each must be noticed. */
interface Bugs {
  /** Changes the packet when it is done. */
  readonly after?: (packet: PacketView, context: NodeContext) => void;
  /** Changes the next slots when all are done. */
  readonly slots?: (nexts: Uint16Array, count: number) => number;
  readonly fields?: Partial<Encap>;
  readonly trace?: () => string;
  /** Goes on without a source address. */
  readonly careless?: boolean;
  readonly server?: (server: number) => number;
}

/** IP-in-IP over IPv4 (RFC 2003) in TypeScript, made to be broken. */
function toy(bugs: Bugs = {}): Encap {
  return defineEncap({
    name: 'toy',
    summary: 'IP-in-IP, in TypeScript',
    vipFamilies: [4, 6],
    serverFamily: 4,
    overhead: 20,
    tunnel: { protocols: [4, 41] },
    vip: { targetPort: 'refused', dscp: 'refused' },
    nodes: (lb: LbHandles) => [
      {
        name: 'toy',
        next: ['drop'],
        fanOut: 'dpo',
        counters: { ...lookupCounters, 'no source address': 'dropped: set one with lb conf ip4-src-address' },
        process(context, vector, count, nexts) {
          for (let i = 0; i < count; i++) nexts[i] = encapsulate(context, context.packet(vector[i]!), lb);
          return bugs.slots?.(nexts, count) ?? MIXED;
        },
        trace: bugs.trace ?? ((view) => `to server ${view.as}`),
      },
    ],
    ...bugs.fields,
  });

  function encapsulate(context: NodeContext, view: PacketView, lb: LbHandles): number {
    const { u8, u32 } = context.memory;
    const source = u8.slice(lb.blocks[0]! + LB_SOURCE4, lb.blocks[0]! + LB_SOURCE4 + 4);
    if (source.every((byte) => byte === 0) && !bugs.careless) {
      context.reason(view, 'no source address');
      return 0;
    }
    const server = lb.servers + ((bugs.server?.(view.as) ?? view.as) << AS_SHIFT);
    const inner = new Uint8Array(view.bytes);
    const protocol = inner[0]! >> 4 === 6 ? 41 : 4;
    const dst = u8.slice(server + 28, server + 32).join('.');
    const whole = packet(ip4({ src: source.join('.'), dst, protocol, ttl: 64, id: 1 }), inner);
    view.data -= 20;
    view.length += 20;
    view.bytes.set(whole);
    view.dpo = u32[(server + AS_DPO) >>> 2]!;
    bugs.after?.(view, context);
    if (view.dpo >>> 24 === 0) context.reason(view, Object.keys(lookupCounters)[0]!);
    return (u32[(context.node + NODE_FANOUT) >>> 2] ?? 0) + (view.dpo >>> 24);
  }
}

/** Writes a byte of the outer header and makes its checksum right again. */
const outer =
  (at: number, value: number) =>
  ({ bytes }: PacketView) => {
    bytes[at] = value;
    bytes[10] = bytes[11] = 0;
    const sum = checksum(bytes.slice(0, 20));
    bytes[10] = sum >> 8;
    bytes[11] = sum & 255;
  };

/** What the checks say of an encap, up to the first that says what is wanted. */
async function findings(encap: Encap, wanted: RegExp): Promise<string> {
  const said: string[] = [];
  for (const { name, run } of conformanceChecks(encap)) {
    await run().catch((error: Error) => {
      expect(error, name).toBeInstanceOf(Finding);
      said.push(error.message);
    });
    if (wanted.test(said.at(-1) ?? '')) break;
  }
  return said.join('\n');
}

conformance(toy());

describe('the suite notices', () => {
  let calls = 0;
  it.each<[string, Bugs, RegExp]>([
    ['a wrong header checksum', { after: ({ bytes }) => (bytes[10]! ^= 1) }, /outer header checksum is wrong/],
    ['a wrong length', { after: outer(3, 7) }, /outer/],
    ['a header that is longer than it says', { fields: { overhead: 24 } }, /the length is \d+, must be/],
    ['a header that is shorter than it says', { fields: { overhead: 28 } }, /the length is \d+, must be/],
    ['another destination', { after: outer(19, 77) }, /outer destination is 10.0.0.77, must be 10.0.0/],
    ['another source', { after: outer(15, 77) }, /outer source is 10.99.0.77, must be 10.99.0.1/],
    ['a protocol that it did not declare', { after: outer(9, 47) }, /outer protocol is 47, must be one of/],
    ['the wrong one of its protocols', { after: outer(9, 4) }, /version inside, which outer protocol 4 tells/],
    ['an outer TTL that does not reach far', { after: outer(8, 1) }, /outer TTL is 1/],
    ['an outer TOS that was not written', { after: outer(1, 0xa5) }, /outer TOS .* is 165/],
    ['an outer fragment', { after: outer(6, 0x20) }, /says that it is a fragment/],
    ['a TTL inside that was counted down', { after: ({ bytes }) => bytes[28]!-- }, /byte 8 of the packet inside is/],
    [
      'an inner byte at the end',
      { after: ({ bytes }) => (bytes[bytes.length - 1]! ^= 0x80) },
      /of the packet inside is/,
    ],
    ['the way of another server', { after: (view) => (view.dpo ^= 1) }, /META_DPO is/],
    ['no DPO', { after: (view) => (view.dpo = 0) }, /number of packets that come out/],
    ['another server', { server: (server) => (server % 3) + 1 }, /outer destination|META_DPO/],
    [
      'packets without a reason',
      { slots: (nexts, count) => nexts.fill(0, 0, count).length * 0 + MIXED },
      /number of packets|without a reason/,
    ],
    [
      'a vector that follows its first packet',
      { slots: (nexts) => nexts[0]! },
      /nothing comes out for a server whose route is as before|route says/,
    ],
    ['a slot that is not there', { slots: () => 999 }, /number of packets that come out/],
    [
      'the last packet of vectors forgotten',
      { slots: (nexts, count) => nexts.fill(0, Math.max(count - 1, 200), count).length * 0 + MIXED },
      /come out of a vector of 256|come out of 255/,
    ],
    [
      'a trap',
      {
        after: () => {
          throw new Error('broken');
        },
      },
      /number of packets that come out/,
    ],
    [
      'one trap in many',
      {
        after: () => {
          if (++calls % 1000 === 0) throw new Error('seldom');
        },
      },
      /number of packets|the counter "trapped"/,
    ],
    ['a length that does not match', { after: (view) => (view.length += 1) }, /the length is/],
    ['no trace', { trace: () => '' }, /says nothing in the trace/],
    [
      'a trace that throws',
      {
        trace: () => {
          throw new Error('no words');
        },
      },
      /can't say what it did: .*no words/,
    ],
    ['show that says nothing', { fields: { show: () => '' } }, /show\(\) says "": must be a line of text/],
    [
      'tunnels without a source',
      { careless: true },
      /come out without a source address is 1, must be 0|no counter of its node/,
    ],
  ])('%s', async (_, bugs, message) => {
    expect(await findings(toy(bugs), message)).toMatch(message);
  });
});

/** An encap that gives packets the server's address, and no more: the simplest that is no tunnel. */
function plain(change: (bytes: Uint8Array, server: Uint8Array) => void): Encap {
  return defineEncap({
    name: 'plain',
    summary: "the server's address instead of the VIP's",
    vipFamilies: [4],
    serverFamily: 4,
    overhead: 0,
    vip: { targetPort: 'refused', dscp: 'refused' },
    nodes: (lb) => [
      {
        name: 'plain',
        next: ['drop'],
        fanOut: 'dpo',
        counters: lookupCounters,
        process(context, vector, count, nexts) {
          for (let i = 0; i < count; i++) {
            const view = context.packet(vector[i]!);
            const server = serverOf(lb, view);
            change(view.bytes, context.memory.u8.slice(server + 28, server + 32));
            nexts[i] = toServer(context, lb, view);
          }
          return MIXED;
        },
        trace: (view) => `to server ${view.as}`,
      },
    ],
  });
}

/** Adds to a checksum what changed (RFC 1624). */
function adjust(bytes: Uint8Array, at: number, before: Uint8Array, now: Uint8Array): void {
  const word = (from: Uint8Array, i: number) => (from[i]! << 8) | from[i + 1]!;
  let sum = ~word(bytes, at) & 0xffff;
  for (let i = 0; i < 4; i += 2) sum += (~word(before, i) & 0xffff) + word(now, i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  bytes[at] = (~sum >> 8) & 255;
  bytes[at + 1] = ~sum & 255;
}

const right = (bytes: Uint8Array, server: Uint8Array, l4 = true) => {
  const before = bytes.slice(16, 20);
  bytes.set(server, 16);
  adjust(bytes, 10, before, server);
  const at = (bytes[0]! & 15) * 4;
  const first = ((bytes[6]! & 0x1f) | bytes[7]!) === 0;
  const field = { 6: 16, 17: 6 }[bytes[9]!];
  if (!l4 || !first || field === undefined) return;
  if (bytes[9] === 17 && bytes[at + 6] === 0 && bytes[at + 7] === 0) return;
  adjust(bytes, at + field, before, server);
};

conformance(plain(right));

describe('the suite notices, of an encap that is no tunnel,', () => {
  it.each<[string, (bytes: Uint8Array, server: Uint8Array) => void, RegExp]>([
    [
      'a checksum of TCP left as it was',
      (bytes, server) => right(bytes, server, false),
      /the checksum of tcp is bad, must be good/,
    ],
    [
      'a checksum of IP left as it was',
      (bytes, server) => {
        const sum = bytes.slice(10, 12);
        right(bytes, server);
        bytes.set(sum, 10);
      },
      /the checksum of ip4 is bad, must be good/,
    ],
    [
      'a checksum given to UDP that had none',
      (bytes, server) => {
        const none = bytes[9] === 17 && bytes[26] === 0 && bytes[27] === 0;
        right(bytes, server);
        if (none) bytes[27] = 1;
      },
      /the checksum of udp is bad, must be none/,
    ],
    [
      'a TTL counted down',
      (bytes, server) => {
        right(bytes, server);
        bytes[8]!--;
      },
      /the TTL, which .* is \d+, must be/,
    ],
    ['the VIP left as destination', () => {}, /the destination is 90.0.0.1, must be 10.0.0/],
    [
      'a payload that was changed',
      (bytes, server) => {
        right(bytes, server);
        bytes[bytes.length - 1]! ^= 1;
      },
      /checksum of|payload is changed/,
    ],
    [
      'another protocol',
      (bytes, server) => {
        right(bytes, server);
        bytes[9]! ^= 1;
      },
      /the protocol is/,
    ],
  ])('%s', async (_, change, message) => {
    expect(await findings(plain(change), message)).toMatch(message);
  });
});
