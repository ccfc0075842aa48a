import { addressBytes, addressText } from './address.ts';
import { type Dissected, describe, dissect } from './dissect.ts';
import { layerOf, type Part, payloadOf } from './packet.ts';

/** A packet that is not as a test expects it. The message shows the packet and what differs. */
export class PacketMismatch extends Error {
  readonly code = 'LBD_PACKET_MISMATCH';
  constructor(what: string, packet: string) {
    super(`${what}\n  in: ${packet}`);
    this.name = 'PacketMismatch';
  }
}

/**
 * Checks that a packet has these layers, outermost first, with the fields that are given, then this payload if one is
 * given; and that all its checksums are right, unless a layer expects `checksum` to be something. Returns the layers.
 *
 *     expectPacket(bytes, ip4({ src, dst }), udp({ dport: 53 }), 'query');
 *
 * @throws PacketMismatch, PacketError
 */
export function expectPacket(bytes: Uint8Array, ...parts: Part[]): Dissected[] {
  const wanted = parts.flatMap((part) => layerOf(part) ?? []);
  const start = wanted[0]?.protocol ?? 'ethernet';
  const found = dissect(bytes, start);
  const fail = (what: string) => {
    throw new PacketMismatch(what, describe(bytes, start));
  };
  for (const [i, { protocol, fields }] of wanted.entries()) {
    const layer = found[i];
    if (layer?.protocol !== protocol) {
      fail(`layer ${i} is ${layer?.protocol.protocol ?? 'not there'}, expected ${protocol.protocol}`);
    }
    for (const [name, value] of Object.entries(fields)) {
      const seen = (layer!.fields as Record<string, unknown>)[name];
      if (!same(seen, value)) fail(`${protocol.protocol}.${name} is ${show(seen)}, expected ${show(value)}`);
    }
    if (layer!.checksum === 'bad' && !('checksum' in fields)) fail(`${protocol.protocol} has a bad checksum`);
  }
  const last = parts.at(-1);
  if (last !== undefined && !layerOf(last)) {
    const payload = found[wanted.length - 1]?.payload ?? bytes;
    const expected = payloadOf(last);
    if (!same(payload, expected)) fail(`payload is ${show(payload)}, expected ${show(expected)}`);
  }
  return found;
}

function same(seen: unknown, expected: unknown): boolean {
  if (seen instanceof Uint8Array && expected instanceof Uint8Array) {
    return seen.length === expected.length && seen.every((byte, i) => byte === expected[i]);
  }
  if (typeof seen === 'string' && typeof expected === 'string') return normal(seen) === normal(expected);
  return typeof seen === 'object' ? JSON.stringify(seen) === JSON.stringify(expected) : seen === expected;
}

/** One address may be written in several ways. */
function normal(text: string): string {
  const lower = text.toLowerCase();
  if (!lower.includes(':') || /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(lower)) return /[.:]/.test(lower) ? lower : text;
  try {
    return addressText(addressBytes(lower));
  } catch {
    return lower;
  }
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes ${Buffer.from(value).toString('hex') || '(empty)'}`;
  return JSON.stringify(value) ?? 'undefined';
}
