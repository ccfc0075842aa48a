import { FLAG_FIRST_FRAGMENT, FLAG_LATER_FRAGMENT, type PacketView, PROTOCOL_NONE } from '@lbd/graph';
import { ethernet, icmp4, ip4, packet, tcp, udp } from '@lbd/packet';
import * as fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hex, scapy, unhex } from '../../../packet/test/scapy.ts';
import {
  counter,
  freeBuffers,
  type IpBench,
  ipBench,
  learn,
  OUR_MAC,
  type Seen,
  spyNode,
  THEIR_MAC,
} from '../../test/bench.ts';
import { dpo } from '../dpo.ts';
import { DPO_FIRST_FREE, FRAGMENTS_ROOM } from '../layout.ts';

const flow = { src: '9.9.9.9', dst: '90.0.0.1' };
const ether = ethernet({ dst: OUR_MAC(0), src: THEIR_MAC, type: 0x800 });
const seen: Seen[] = [];
let ip: IpBench;
let counted: () => Record<string, number>;
beforeAll(async () => {
  ip = await ipBench('ip4-frag', {
    extend: (graph) => {
      graph.add(spyNode('spy', seen));
      graph.fanOut('dpo', 'spy');
    },
  });
  ip.routes.addSpecial('90.0.0.0/8', dpo(DPO_FIRST_FREE, 0));
});
beforeEach(() => {
  counted = counter(ip);
});

/** As packets come to ip4-frag: received on interface 1, the Ethernet header taken off. */
const asked = (mtu: number) => (p: PacketView) => {
  p.data += 14;
  p.length -= 14;
  p.rx = 1;
  p.opaque = mtu;
};
function fragment(bytes: Uint8Array, mtu: number, link = ether): Seen[] {
  seen.length = 0;
  ip.bench.inject(packet(link, bytes), 1, asked(mtu)).run();
  return [...seen];
}

/** A naive receiver: puts the payloads where they belong, and wants all of them, once, and no others. */
function reassemble(pieces: readonly Uint8Array[]): { payload: Uint8Array; more: boolean; start: number } {
  const parts = pieces.map((bytes) => {
    expect(ip4.verify!(bytes, ip4.parse(bytes).fields, undefined)).toBe(true);
    const { fields, payload } = ip4.parse(bytes);
    return { at: fields.fragmentOffset, more: fields.mf, payload };
  });
  parts.sort((a, b) => a.at - b.at);
  const start = parts[0]!.at;
  let at = start;
  for (const [i, part] of parts.entries()) {
    expect(part.at).toBe(at);
    at += part.payload.length;
    if (i < parts.length - 1) expect([part.more, part.payload.length % 8]).toEqual([true, 0]);
  }
  return { payload: Uint8Array.from(parts.flatMap(({ payload }) => [...payload])), more: parts.at(-1)!.more, start };
}

/** A header's options, taken apart: those that each fragment is to have, padded. */
function copied(options: readonly Uint8Array[]): Uint8Array {
  const kept = options.filter((option) => option[0]! >= 0x80).flatMap((option) => [...option]);
  while (kept.length % 4 !== 0) kept.push(0);
  return Uint8Array.from(kept);
}

const option = fc
  .record({ type: fc.integer({ min: 2, max: 255 }), data: fc.uint8Array({ maxLength: 6 }) })
  .map(({ type, data }) => Uint8Array.of(type, data.length + 2, ...data));
const nothing = fc.constant(Uint8Array.of(1));
const options = fc
  .array(fc.oneof(option, nothing), { maxLength: 6 })
  .filter((list) => list.reduce((sum, { length }) => sum + length, 0) <= 40);

describe('fragments', () => {
  it('put together are the packet again, whatever its size, options, and the MTU', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1600 }),
        fc.integer({ min: 68, max: 1500 }),
        options,
        fc.record({ id: fc.nat(0xffff), tos: fc.nat(255), ttl: fc.integer({ min: 1, max: 255 }), mf: fc.boolean() }),
        fc.nat(1000),
        (size, mtu, list, fields, offset) => {
          const payload = new Uint8Array(size).map((_, i) => i * 31 + (i >> 8));
          const bytes = packet(
            ip4({
              ...flow,
              ...fields,
              protocol: 17,
              fragmentOffset: offset * 8,
              options: Uint8Array.from(list.flatMap((o) => [...o])),
            }),
            payload,
          );
          fc.pre(bytes.length > mtu);
          const pieces = fragment(bytes, mtu);
          expect(pieces.length).toBeGreaterThan(1);
          const whole = reassemble(pieces.map((piece) => piece.bytes));
          expect(whole).toEqual({ payload, more: fields.mf, start: offset * 8 });
          const original = ip4.parse(bytes).fields;
          for (const [i, piece] of pieces.entries()) {
            expect(piece.bytes.length).toBeLessThanOrEqual(mtu);
            const { src, dst, protocol, ttl, tos, id, df, options } = ip4.parse(piece.bytes).fields;
            expect({ src, dst, protocol, ttl, tos, id, df }).toEqual({
              ...flow,
              protocol: 17,
              df: false,
              ttl: fields.ttl,
              tos: fields.tos,
              id: fields.id,
            });
            expect(options).toEqual(i === 0 ? original.options : copied(list));
            // as long as the MTU lets them be, but the last
            if (i < pieces.length - 1) expect(piece.bytes.length + 8).toBeGreaterThan(mtu);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(freeBuffers(ip).count).toBe(1024);
    expect(Object.keys(counted()).sort()).toEqual(['ip4-frag: datagrams', 'ip4-frag: fragments']);
  });

  it('are put together by scapy, too', () => {
    const originals = [100, 577, 1200, 1700].map((size, i) =>
      packet(
        ip4({ ...flow, id: i }),
        udp({ sport: 1, dport: 2 }),
        new Uint8Array(size).map((_, k) => k * 3),
      ),
    );
    const pieces = originals.map((bytes) => fragment(bytes, 92).map((piece) => hex(piece.bytes)));
    const whole = scapy<string[]>(
      `
from scapy.layers.inet import defragment
out = []
for pieces in input:
    [packet] = defragment([IP(bytes.fromhex(piece)) for piece in pieces])
    del packet.len, packet.chksum
    out.append(bytes(packet).hex())`,
      pieces,
    );
    expect(whole.map(unhex)).toEqual(originals);
  });

  it('cut again are the packet still', () => {
    const payload = new Uint8Array(1500).map((_, i) => i * 5);
    const pieces = fragment(packet(ip4({ ...flow, id: 3, protocol: 17 }), payload), 1000);
    const smaller = pieces.flatMap(({ bytes }) => (bytes.length > 300 ? fragment(bytes, 300) : [{ bytes }]));
    expect(reassemble(smaller.map(({ bytes }) => bytes))).toEqual({ payload, more: false, start: 0 });
  });

  it('have the metadata that ip4-input gives, and come as received on the interface of their packet', () => {
    // of a sender that no buffer has seen before
    const link = ethernet({ dst: OUR_MAC(0), src: '02:00:00:00:99:99', type: 0x800 });
    const bytes = packet(ip4({ ...flow, options: Uint8Array.of(7, 3, 4) }), tcp(), new Uint8Array(200));
    const pieces = fragment(bytes, 100, link);
    const what = pieces.map(({ data, rx, flags, l4, protocol, hash }) => ({ data, rx, flags, l4, protocol, hash }));
    const later = { data: 270, rx: 1, flags: FLAG_LATER_FRAGMENT, l4: 20, protocol: PROTOCOL_NONE, hash: 0 };
    expect(what).toEqual([{ ...later, flags: FLAG_FIRST_FRAGMENT, l4: 24, protocol: 6 }, later, later]);
    for (const piece of pieces) expect(piece.ethernet).toEqual(packet(link, ip4()).slice(0, 14));
  });

  it('of a later fragment are all later ones', () => {
    const pieces = fragment(packet(ip4({ ...flow, fragmentOffset: 80, protocol: 6 }), new Uint8Array(200)), 100);
    expect(pieces.map(({ flags }) => flags)).toEqual([FLAG_LATER_FRAGMENT, FLAG_LATER_FRAGMENT, FLAG_LATER_FRAGMENT]);
  });
});

describe('what is dropped, and counted', () => {
  const bytes = (fields: object, size: number, options = new Uint8Array()) =>
    packet(ip4({ ...flow, protocol: 17, ...fields, options }), new Uint8Array(size));
  it.each<[string, Uint8Array, number]>([
    ['DF', bytes({ df: true }, 200), 100],
    ['fits already', bytes({}, 80), 100],
    ['fits no more than the header', bytes({}, 200), 27],
    ['fits no more than the header with options', bytes({}, 200, new Uint8Array(40).fill(1)), 67],
    ['no MTU', bytes({}, 200), 0],
    ['its end is beyond the longest datagram', bytes({ fragmentOffset: 65512, mf: true }, 200), 100],
  ])('%s', (_name, packet, mtu) => {
    expect(fragment(packet, mtu)).toEqual([]);
    expect(counted()).toEqual({ 'ip4-frag: not allowed': 1 });
    expect(freeBuffers(ip).count).toBe(1024);
  });
  it('nothing at the limits of that', () => {
    expect(fragment(bytes({}, 17), 28).map((piece) => piece.bytes.length)).toEqual([28, 28, 21]);
    expect(fragment(bytes({}, 81), 100)).toHaveLength(2);
    expect(fragment(bytes({ fragmentOffset: 65304 }, 200), 100)).toHaveLength(3);
  });

  it('packets for whose fragments there are too few buffers, whole; none is lost', () => {
    const free = freeBuffers(ip);
    const held: number[] = [];
    while (free.count > 3) held.push(free.pop());
    // one buffer is the packet's own
    expect(fragment(bytes({}, 200), 100)).toEqual([]);
    expect(counted()).toEqual({ 'ip4-frag: no buffer': 1 });
    expect(fragment(bytes({}, 150), 100)).toHaveLength(2);
    expect(free.count).toBe(3);
    for (const buffer of held) free.push(buffer);
  });

  it('packets for whose fragments there is no room, whole; the others come out in order', async () => {
    const spied: Seen[] = [];
    const roomy = await ipBench('ip4-frag', {
      buffers: 2048,
      extend: (graph) => {
        graph.add(spyNode('spy', spied));
        graph.fanOut('dpo', 'spy');
      },
    });
    roomy.routes.addSpecial('90.0.0.0/8', dpo(DPO_FIRST_FREE, 0));
    const more = counter(roomy);
    for (let id = 0; id < 256; id++) roomy.bench.inject(packet(ether, bytes({ id }, 385)), 1, asked(100));
    roomy.bench.run();
    // 5 fragments of 80 bytes and less: 204 packets' are 1020 fragments
    const whole = Math.floor(FRAGMENTS_ROOM / 5);
    expect(more()).toEqual({
      'ip4-frag: datagrams': whole,
      'ip4-frag: fragments': whole * 5,
      'ip4-frag: no room': 256 - whole,
    });
    expect(spied.map((piece) => ip4.parse(piece.bytes).fields.id)).toEqual(
      Array.from({ length: whole * 5 }, (_, i) => Math.floor(i / 5)),
    );
    expect(freeBuffers(roomy).count).toBe(2048);
  });

  it('options that are damaged are copied up to there, and no byte behind the header is read as one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (options) => {
        const payload = new Uint8Array(200).map((_, i) => i);
        const pieces = fragment(packet(ip4({ ...flow, protocol: 17, options }), payload), 120);
        expect(reassemble(pieces.map((piece) => piece.bytes)).payload).toEqual(payload);
      }),
      { numRuns: 200 },
    );
  });
});

describe('forwarding', () => {
  it('cuts what is larger than the next hop’s link takes', async () => {
    const all = await ipBench('ethernet-input');
    learn(all.routes, 1, '10.1.0.2');
    const payload = new Uint8Array(1700).map((_, i) => i * 11);
    const bytes = packet(ether, ip4({ src: '9.9.9.9', dst: '10.1.0.2', ttl: 9, id: 4 }), udp({ dport: 5 }), payload);
    const sent = all.bench.inject(bytes).run();
    expect(sent.map(({ node, tx, bytes }) => [node, tx, bytes.length])).toEqual([
      ['interface-output', 1, 14 + 1500],
      ['interface-output', 1, 14 + 248],
    ]);
    expect(sent.map((one) => ip4.parse(one.bytes.slice(14)).fields.ttl)).toEqual([8, 8]);
    expect(reassemble(sent.map((one) => one.bytes.slice(14))).payload).toEqual(bytes.slice(34));
  });

  it('conserves buffers, whatever comes', async () => {
    const all = await ipBench('ethernet-input');
    learn(all.routes, 1, '10.1.0.2');
    const packets = [
      packet(ether, ip4({ src: '9.9.9.9', dst: '10.1.0.2' }), udp(), new Uint8Array(1700)),
      packet(ether, ip4({ src: '9.9.9.9', dst: '10.1.0.2', df: true }), udp(), new Uint8Array(1700)),
      packet(ether, ip4({ src: '9.9.9.9', dst: '10.1.0.2', ttl: 0 }), icmp4({ type: 8 })),
      packet(ether, ip4({ src: '9.9.9.9', dst: '10.1.0.2' }), udp()),
    ];
    fc.assert(
      fc.property(fc.array(fc.nat(packets.length - 1), { maxLength: 600 }), (choice) => {
        for (const which of choice) all.bench.inject(packets[which]!);
        const sent = all.bench.run().length;
        const times = (which: number) => choice.filter((one) => one === which).length;
        expect(sent).toBe(2 * times(0) + times(3));
        expect(freeBuffers(all).count).toBe(1024);
      }),
      { numRuns: 30 },
    );
  });
});
