/**
 * What a packet must look like when it leaves for a server, judged from the bytes alone, by the parsers of @lbd/packet: no
 * code of the encap, and no offset that it uses, is asked.
 */
import { type Dissected, dissect, type Gre, type Ip4, type Ip6, ip4, ip6 } from '@lbd/packet';
import { type Bed, type Delivered, SOURCES } from './bed.ts';
import { must, mustBe } from './findings.ts';

/** What the bench fills buffers with: it shows where a header was not written. */
const UNWRITTEN = 0xa5a5;

/** @throws Finding */
export function checkCarried(bed: Bed, before: Uint8Array, after: Delivered): void {
  const { encap } = bed;
  must(bed.servers.includes(after.server), `META_AS ${after.as} is no server of the VIP`);
  mustBe('META_DPO', after.dpo, bed.serverDpo(after.as));
  mustBe('the length', after.bytes.length, before.length + encap.overhead);
  if (encap.tunnel) checkTunnel(bed, before, after);
  else checkForwarded(before, after);
}

interface Addressed {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
}

/** The fields that both versions of IP have. */
function ipFields({ protocol, fields }: Dissected): Addressed {
  if (protocol.protocol === 'ip4') {
    const { src, dst, protocol: next, ttl, tos } = fields as Ip4;
    return { src, dst, protocol: next, ttl, tos };
  }
  const { src, dst, protocol: next, hopLimit, trafficClass } = fields as Ip6;
  return { src, dst, protocol: next, ttl: hopLimit, tos: trafficClass };
}

function layersOf(bytes: Uint8Array, what: string): Dissected[] {
  try {
    return dissect(bytes, 'ip');
  } catch (error) {
    must(false, `${what} can't be parsed: ${(error as Error).message}`);
  }
}

/** The outer header alone: what is behind it is checked by itself. */
function outerOf(bytes: Uint8Array): Dissected {
  try {
    const protocol = bytes[0]! >> 4 === 6 ? ip6 : ip4;
    const { headerBytes, payload, fields } = protocol.parse(bytes);
    const good = protocol === ip4 ? ip4.verify!(bytes, fields as Ip4, undefined) : true;
    return { protocol: protocol as never, fields, offset: 0, headerBytes, payload, checksum: good ? 'good' : 'bad' };
  } catch (error) {
    must(false, `the outer header can't be parsed: ${(error as Error).message}`);
  }
}

function checkTunnel({ encap }: Bed, before: Uint8Array, { bytes, server }: Delivered): void {
  const outer = outerOf(bytes);
  mustBe('the version of the outer header', outer.protocol.protocol, `ip${encap.serverFamily}`);
  const { src, dst, protocol, ttl, tos } = ipFields(outer);
  mustBe('the outer destination', dst, server);
  mustBe('the outer source', src, SOURCES[encap.serverFamily]);
  must(
    encap.tunnel!.protocols.includes(protocol),
    `the outer protocol is ${protocol}, must be one of tunnel.protocols: ${encap.tunnel!.protocols}`,
  );
  must(ttl >= 16, `the outer TTL is ${ttl}: a tunnel's packets have a way to go, must be 16 or more`);
  mustBe('the outer length', outer.offset + outer.headerBytes + outer.payload.length, bytes.length);
  must(outer.checksum !== 'bad', 'the outer header checksum is wrong');
  checkOuterFields(outer, tos, before);
  // Byte for byte: TTL, checksums, options, whatever there is.
  const inner = bytes.subarray(bytes.length - before.length);
  const at = inner.findIndex((byte, i) => byte !== before[i]);
  must(
    at < 0,
    `byte ${at} of the packet inside is ${inner[at]}, must be ${before[at]} as it came: tunnels change nothing`,
  );
  checkNext(bytes, outer, protocol, before[0]! >> 4);
}

function checkOuterFields(outer: Dissected, tos: number, before: Uint8Array): void {
  const inner = before[0]! >> 4 === 6 ? ((before[0]! & 15) << 4) | (before[1]! >> 4) : before[1]!;
  const allowed = [0, inner, inner & 0xfc, inner & 3];
  must(allowed.includes(tos), `the outer TOS (traffic class) is ${tos}, must be 0 or of the packet inside (${inner})`);
  if (outer.protocol.protocol === 'ip4') {
    const { id, mf, fragmentOffset, options } = outer.fields as Ip4;
    must(!mf && fragmentOffset === 0, 'the outer header says that it is a fragment');
    must(id !== UNWRITTEN, 'the outer identification was not written');
    mustBe('the length of the outer options', options.length, 0);
    return;
  }
  const { flowLabel } = outer.fields as Ip6;
  must((flowLabel & 0xffff) !== UNWRITTEN, 'the outer flow label was not written');
}

/** Where the tunnel's protocol says what is inside, it must be true. */
function checkNext(bytes: Uint8Array, outer: Dissected, protocol: number, version: number): void {
  const inside: Readonly<Record<number, number>> = { 4: 4, 41: 6 };
  if (protocol in inside)
    mustBe(`the version inside, which outer protocol ${protocol} tells,`, inside[protocol], version);
  if (protocol !== 47) return;
  const gre = layersOf(bytes, 'the packet').find(
    (layer) => layer.offset >= outer.headerBytes && layer.protocol.protocol === 'gre',
  );
  must(gre !== undefined, 'there is no GRE header');
  mustBe('the protocol of the GRE header', (gre.fields as Gre).type, version === 4 ? 0x0800 : 0x86dd);
}

/** Not tunnelled: the packet itself goes to the server, rewritten. */
function checkForwarded(before: Uint8Array, { bytes, server }: Delivered): void {
  const came = layersOf(before, 'the packet as it came');
  const left = layersOf(bytes, 'the packet');
  const [ipBefore, ipAfter] = [ipFields(came[0]!), ipFields(left[0]!)];
  mustBe('the destination', ipAfter.dst, server);
  mustBe('the TTL, which the rewrite of the interface counts down,', ipAfter.ttl, ipBefore.ttl);
  mustBe('the protocol', ipAfter.protocol, ipBefore.protocol);
  mustBe('the IP length', left[0]!.headerBytes + left[0]!.payload.length, bytes.length);
  for (const [i, layer] of left.entries()) {
    const { protocol, checksum } = came[i] ?? { protocol: { protocol: 'nothing' }, checksum: 'none' };
    const name = layer.protocol.protocol;
    if (name !== protocol.protocol && i > 0) must(false, `layer ${i} is ${name}, must be ${protocol.protocol}`);
    // Good stays good and bad stays bad: a checksum computed anew would hide what went wrong on the way here.
    mustBe(`the checksum of ${name}`, layer.checksum, checksum);
  }
  const [data, wanted] = [left.at(-1)!.payload, came.at(-1)!.payload];
  const at = data.findIndex((byte, i) => byte !== wanted[i]);
  must(at < 0 && data.length === wanted.length, `the payload is changed at byte ${at}`);
}
