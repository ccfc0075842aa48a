import { bpfLoadXdp, bpfMapCreate, bpfMapUpdate, bpfTestRun, close } from '@lbd/native';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { XdpSteering } from './steering.ts';
import { XDP_PASS, XDP_REDIRECT, xdpProgram } from './xdp-program.ts';

// Few addresses and ports, so that rules and packets meet. The last byte names an address of either family.
const VIP = 1;
const [LOCAL, LOCAL_AND_SOURCE, SOURCE] = [2, 3, 4];
const [SERVER, SERVER_AND_LOCAL] = [5, 2];
const [NODE_PORT, TARGET_PORT] = [30080, 80];
const TCP_ = 6;
const UDP_ = 17;

/** What is lbd's, as the doc comment of the program has it, read naively. Throws RangeError where the frame ends. */
class Model {
  readonly #fragments = new Set<string>();

  wanted(frame: Uint8Array, nat: boolean): boolean {
    try {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
      const type = view.getUint16(12);
      if (type !== 0x0800 && type !== 0x86dd) return false;
      return this.#ip(view, type === 0x0800 ? 4 : 6, nat);
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  #ip(view: DataView, family: 4 | 6, nat: boolean): boolean {
    const to = address(view, 14, family, 'destination');
    if (to === VIP) return true;
    const packet = parse(view, 14, family);
    if (!packet) return false;
    const addresses = frameBytes(view, family === 4 ? 26 : 22, family === 4 ? 8 : 32);
    const datagram = `${family} ${addresses} ${packet.id}`;
    const isServer = (n: number): boolean => n === SERVER || n === SERVER_AND_LOCAL;
    const isLocal = to === LOCAL || to === LOCAL_AND_SOURCE;
    if (packet.later) return this.#fragments.has(datagram) || (nat && isServer(packet.from));
    const { at, protocol } = packet;
    const isPort = (of: number, port: number): boolean => of === TCP_ && port === NODE_PORT;
    if (protocol === TCP_ || protocol === UDP_) {
      const [source, destination] = [view.getUint16(at), view.getUint16(at + 2)];
      if (isLocal) {
        const ours = isPort(protocol, destination);
        if (packet.more && ours) this.#fragments.add(datagram);
        if (packet.more && !ours) this.#fragments.delete(datagram);
        if (ours) return true;
      }
      return nat && protocol === TCP_ && source === TARGET_PORT && isServer(packet.from);
    }
    const error = view.getUint8(at);
    const errors = family === 4 ? [3, 11, 12] : [1, 2, 3, 4];
    if (protocol !== (family === 4 ? 1 : 58) || packet.more || !errors.includes(error)) return false;
    if (view.getUint8(at + 8) >> 4 !== family) return false;
    view.getUint8(at + 8 + (family === 4 ? 19 : 39)); // a whole header
    const about = parse(view, at + 8, family);
    if (!about || about.later) return false;
    if (about.protocol === protocol) return false;
    if (about.protocol !== TCP_ && about.protocol !== UDP_) {
      return about.from === to && (to === SOURCE || to === LOCAL_AND_SOURCE);
    }
    const [source, destination] = [view.getUint16(about.at), view.getUint16(about.at + 2)];
    if (isLocal && about.from === to && isPort(about.protocol, source)) return true;
    return nat && about.protocol === TCP_ && destination === TARGET_PORT && isServer(about.to);
  }
}

interface Parsed {
  readonly from: number;
  readonly to: number;
  readonly protocol: number;
  /** Where its L4 header is. */
  readonly at: number;
  readonly later: boolean;
  readonly more: boolean;
  readonly id: string;
}

/** The last byte of an address, or 0 if the others are not as we have them. */
function address(view: DataView, ip: number, family: 4 | 6, which: 'source' | 'destination'): number {
  const bytes = family === 4 ? 4 : 16;
  const at = ip + (family === 4 ? 12 : 8) + (which === 'source' ? 0 : bytes);
  for (let i = 0; i < bytes - 1; i++) if (view.getUint8(at + i) !== (i === 0 ? 10 : 0)) return 0;
  return view.getUint8(at + bytes - 1);
}

function frameBytes(view: DataView, from: number, count: number): string {
  return String(new Uint8Array(view.buffer, view.byteOffset + from, count));
}

function parse(view: DataView, ip: number, family: 4 | 6): Parsed | undefined {
  const [from, to] = [address(view, ip, family, 'source'), address(view, ip, family, 'destination')];
  if (family === 4) {
    const header = (view.getUint8(ip) & 15) * 4;
    const fragment = view.getUint16(ip + 6);
    const protocol = view.getUint8(ip + 9);
    const id = `${view.getUint16(ip + 4)} ${protocol}`;
    if (header < 20) return undefined;
    return { from, to, protocol, at: ip + header, later: (fragment & 0x1fff) > 0, more: (fragment & 0x2000) > 0, id };
  }
  let protocol = view.getUint8(ip + 6);
  let at = ip + 40;
  let fragment = 0;
  let id = '';
  for (let i = 0; [0, 43, 44, 60].includes(protocol); i++) {
    if (i === 4) return undefined;
    view.getBigUint64(at);
    const length = protocol === 44 ? 8 : (view.getUint8(at + 1) + 1) * 8;
    if (protocol === 44) {
      fragment = view.getUint16(at + 2);
      id = String(view.getUint32(at + 4));
      if (fragment >> 3 > 0) return { from, to, protocol, at, later: true, more: true, id };
    }
    protocol = view.getUint8(at);
    at += length;
  }
  return { from, to, protocol, at, later: false, more: (fragment & 1) > 0, id };
}

// Frames, built of parts that are mostly as they should be.
const port = fc.constantFrom(NODE_PORT, TARGET_PORT, 22);
const l4 = fc.tuple(port, port).map(([source, destination]) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint16(0, source);
  new DataView(bytes.buffer).setUint16(2, destination);
  return bytes;
});
const host = fc.constantFrom(0, VIP, LOCAL, LOCAL_AND_SOURCE, SOURCE, SERVER, 9);
const other = fc.uint8Array({ maxLength: 24 });

function ip4(payload: fc.Arbitrary<readonly [number, Uint8Array]>): fc.Arbitrary<Uint8Array> {
  const fragment = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 0x4000) },
    { weight: 1, arbitrary: fc.constantFrom(0x2000, 0x2001, 1, 0x1fff) },
  );
  const options = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(10) });
  return fc
    .tuple(host, host, payload, fragment, options, fc.nat(1))
    .map(([from, to, [protocol, rest], bits, n, id]) => {
      const bytes = new Uint8Array(20 + n * 4 + rest.length);
      bytes.set([0x45 + n, 0, 0, 0, 0, id, bits >> 8, bits & 0xff, 64, protocol, 0, 0, 10, 0, 0, from, 10, 0, 0, to]);
      bytes.set(rest, 20 + n * 4);
      return bytes;
    });
}

function ip6(payload: fc.Arbitrary<readonly [number, Uint8Array]>): fc.Arbitrary<Uint8Array> {
  const fragment = fc.tuple(fc.constantFrom(0, 0, 1, 8, 9, 0xfff8), fc.nat(1)).map(([bits, id]) => {
    return [44, Uint8Array.of(0, 0, bits >> 8, bits & 0xff, 0, 0, 0, id)] as const;
  });
  const option = fc.tuple(fc.constantFrom(0, 43, 60), fc.nat(2)).map(([type, n]) => {
    return [type, new Uint8Array(8 + n * 8).fill(n, 1, 2)] as const;
  });
  const extensions = fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(fc.oneof(fragment, option), { maxLength: 5 }) },
  );
  return fc.tuple(host, host, payload, extensions).map(([from, to, [protocol, rest], headers]) => {
    const types = [...headers.map(([type]) => type), protocol];
    const chain = headers.map(([, body], i) => Uint8Array.from(body).fill(types[i + 1]!, 0, 1));
    const fixed = new Uint8Array(40);
    fixed.set([0x60, 0, 0, 0, 0, 0, types[0]!, 64, 10]);
    fixed[23] = from;
    fixed[24] = 10;
    fixed[39] = to;
    return Uint8Array.from([fixed, ...chain, rest].flatMap((part) => [...part]));
  });
}

function packets(family: 4 | 6): fc.Arbitrary<Uint8Array> {
  const ip = family === 4 ? ip4 : ip6;
  const ports = fc.tuple(fc.constantFrom(TCP_, TCP_, UDP_), l4);
  const strange = fc.tuple(fc.constantFrom(1, 47, 58, 59, 6), other);
  const inner = ip(fc.oneof({ weight: 5, arbitrary: ports }, { weight: 1, arbitrary: strange }));
  const type = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(1, 2, 3, 4, 11, 12) },
    { weight: 1, arbitrary: fc.nat(255) },
  );
  const error = fc.tuple(type, inner).map(([kind, about]) => {
    return [family === 4 ? 1 : 58, Uint8Array.from([kind, 0, 0, 0, 0, 0, 0, 0, ...about])] as const;
  });
  return ip(
    fc.oneof({ weight: 3, arbitrary: ports }, { weight: 5, arbitrary: error }, { weight: 1, arbitrary: strange }),
  ).map((packet) => {
    const frame = new Uint8Array(14 + packet.length);
    frame.set(family === 4 ? [8, 0] : [0x86, 0xdd], 12);
    frame.set(packet, 14);
    return frame;
  });
}

/** Some are cut off, some have a byte changed. */
const frames = fc
  .tuple(fc.oneof(packets(4), packets(6)), fc.nat(9), fc.nat(2000), fc.nat(255))
  .map(([frame, how, where, byte]) => {
    if (how === 0) return frame.subarray(0, 14 + (where % (frame.length - 13)));
    if (how === 1) return Uint8Array.from(frame).fill(byte, where % frame.length, (where % frame.length) + 1);
    return frame;
  });

const root = process.getuid?.() === 0;

describe.skipIf(!root)(`the XDP program and a naive model${root ? '' : ' (needs root)'}`, () => {
  let steering: XdpSteering;
  let devices: number;
  const programs: number[] = [];

  beforeAll(() => {
    steering = new XdpSteering();
    const text = (n: number): string[] => [`10.0.0.${n}`, `a00::${n}`];
    text(VIP).forEach((vip) => void steering.addPrefix(vip));
    for (const local of [LOCAL, LOCAL_AND_SOURCE]) text(local).forEach((to) => void steering.addLocalAddress(to));
    for (const source of [SOURCE, LOCAL_AND_SOURCE]) text(source).forEach((to) => void steering.addTunnelSource(to));
    for (const server of [SERVER, SERVER_AND_LOCAL]) {
      text(server).forEach((from) => void steering.addReturn(from, TCP_, TARGET_PORT));
    }
    for (const family of [4, 6] as const) {
      steering.addNodePort(family, TCP_, NODE_PORT);
      steering.setNat(1, family, true);
    }
    devices = bpfMapCreate({ type: 'devmap', keyBytes: 4, valueBytes: 4, entries: 1, name: 'devices' });
    bpfMapUpdate(devices, new Uint8Array(4), Uint8Array.of(1, 0, 0, 0));
    for (const interfaceIndex of [0, 1]) {
      programs.push(bpfLoadXdp('model', xdpProgram({ maps: steering.maps, sockets: devices, interfaceIndex })));
    }
  });
  afterAll(() => {
    steering.close();
    [devices, ...programs].forEach(close);
  });

  it('agree about whose each packet is', () => {
    const model = new Model();
    const seen = { ours: 0, others: 0 };
    fc.assert(
      fc.property(frames, fc.nat(1), (frame, nat) => {
        const wanted = model.wanted(frame, nat === 1);
        seen[wanted ? 'ours' : 'others']++;
        expect(bpfTestRun(programs[nat]!, frame).action).toBe(wanted ? XDP_REDIRECT : XDP_PASS);
      }),
      { numRuns: 20_000, endOnFailure: true }, // the model and the program remember fragments: no shrinking
    );
    expect(Math.min(seen.ours, seen.others)).toBeGreaterThan(2000);
  });
});
