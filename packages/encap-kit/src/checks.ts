import type { Encap } from '@lbd/lb';
import { addressBytes, dissect, type Icmp, type Ip4, type Ip6, icmp4, icmp6, ip4, ip6, packet } from '@lbd/packet';
import { Bed, type Delivered, type Target, WAY_MTU } from './bed.ts';
import { checkCarried } from './carried.ts';
import { must, mustBe } from './findings.ts';
import { type Shape, shapesFor, tcpPacket } from './shapes.ts';

export interface ConformanceOptions {
  /** What the configuration would say of the encap, in `encaps.<name>`. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** One thing that must be true of an encap. */
export interface Check {
  readonly name: string;
  /** @throws Finding that says what is wrong */
  run(): Promise<void>;
}

/** Types of the DPOs that a server's route may lead to (`DPO_` of @lbd/fib), and what becomes of packets. */
const DROP = 0;
const PUNT = 1;
/** Filled up, a vector has so many packets. */
const VECTOR = 256;
const ROUTER = { 4: '203.0.113.9', 6: '2001:db8:cafe::9' } as const;

/** All that must be true of an encap, each with a bed of its own. */
export function conformanceChecks(encap: Encap, { options = {} }: ConformanceOptions = {}): Check[] {
  const check = (name: string, run: (bed: Bed) => unknown): Check => ({
    name,
    async run() {
      const bed = await Bed.create(encap, options);
      await run(bed);
      checkAccounts(bed);
    },
  });
  const checks = encap.vipFamilies.flatMap((family) => {
    const of = (bed: Bed) => bed.targets.find((target) => target.family === family)!;
    const each = (name: string, run: (bed: Bed, target: Target) => unknown) =>
      check(`ip${family}: ${name}`, (bed) => run(bed, of(bed)));
    return [
      ...shapesFor(
        { family, address: family === 4 ? '90.0.0.1' : '2001:db8:90::1', port: 8080 } as Target,
        WAY_MTU - encap.overhead,
      )
        .filter((shape) => !shape.fragment)
        .map(({ name }) =>
          each(`carries ${name}`, (bed, target) => {
            const shape = shapesFor(target, bed.longest).find((one) => one.name === name)!;
            carry(bed, shape, shapeArrives(encap, shape));
          }),
        ),
      each('carries the fragments of a datagram to one server', fragments),
      each('spreads flows over the servers, and keeps each flow on its own', spread),
      each('carries a whole vector, and each packet of it as if it were alone', wholeVector),
      each('carries vectors of every length', vectorLengths),
      each('sends packets where the route to the server leads', routes),
      each('adds no more than its overhead: what just fits goes through, what does not never comes to its node', mtu),
      each('treats the TTL as it says', ttl),
      each('carries ICMP errors to the server of the flow', icmpErrors),
      each('says in a trace what it did', trace),
    ];
  });
  if (encap.vipFamilies.length === 2) checks.push(check('carries both families in one vector', mixedFamilies));
  if (encap.tunnel)
    checks.push({ name: 'drops what it can not send without a source address', run: () => noSource(encap, options) });
  checks.push(check('says something sensible of VIPs', words));
  return checks;
}

/** Where nobody said why a packet was dropped, or a buffer is gone, something is wrong whatever else was checked. */
function checkAccounts(bed: Bed): void {
  mustBe('the number of buffers that are lost', bed.lostBuffers, 0);
  const counters = bed.counters();
  mustBe('the number of packets that were dropped without a reason', counters.get('graph: no reason') ?? 0, 0);
  for (const failure of ['trapped', 'bad next']) {
    mustBe(`the counter "${failure}" of its node`, counters.get(`${bed.encap.name}: ${failure}`) ?? 0, 0);
  }
}

/** TCP and UDP must arrive; what has no ports, only where VIPs have all protocols. */
function shapeArrives(encap: Encap, shape: Shape): boolean {
  return shape.ports || encap.vip.port !== 'required';
}

function carry(bed: Bed, { bytes }: Shape, arrives: boolean): void {
  const out = bed.deliver(bytes);
  if (!arrives && out.length === 0) return;
  mustBe('the number of packets that come out for the server', out.length, 1);
  checkCarried(bed, bytes, out[0]!);
}

function only(packets: readonly Delivered[], what: string): Delivered {
  mustBe(`the number of packets that come out for ${what}`, packets.length, 1);
  return packets[0]!;
}

function fragments(bed: Bed, target: Target): void {
  const pieces = shapesFor(target, bed.longest).filter(({ fragment }) => fragment);
  const servers = pieces.map(({ name, bytes }) => {
    const out = only(bed.deliver(bytes), name);
    checkCarried(bed, bytes, out);
    return out.server;
  });
  mustBe('the number of servers that got fragments of one datagram', new Set(servers).size, 1);
}

const flow = (n: number) => ({ sport: 1024 + n });

function spread(bed: Bed, target: Target): void {
  const chosen = new Map<number, string>();
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 64; n++) {
      const bytes = tcpPacket(target, flow(n));
      const out = only(bed.deliver(bytes), `flow ${n}`);
      checkCarried(bed, bytes, out);
      mustBe(`the server of flow ${n}`, out.server, chosen.get(n) ?? out.server);
      chosen.set(n, out.server);
    }
  }
  mustBe('the number of servers that 64 flows go to', new Set(chosen.values()).size, bed.servers.length);
}

/** A vector of all shapes and many flows, in an order that mixes them. */
function mixture(bed: Bed, targets: readonly Target[]): Shape[] {
  const shapes = targets.flatMap((target) => [
    ...shapesFor(target, bed.longest).filter((shape) => !shape.fragment && shapeArrives(bed.encap, shape)),
    ...Array.from({ length: 40 }, (_, n) => ({
      name: `flow ${n}`,
      bytes: tcpPacket(target, flow(n), 'x'.repeat(n)),
      ports: true,
    })),
  ]);
  return Array.from({ length: VECTOR }, (_, i) => shapes[(i * 37) % shapes.length]!);
}

/** Sends packets in one vector and finds for each what came of it: a flow's packets stay in order, flows need not. */
function checkVector(bed: Bed, shapes: readonly Shape[]): void {
  const out = bed.deliver(...shapes.map(({ bytes }) => bytes));
  mustBe(`the number of packets that come out of a vector of ${shapes.length}`, out.length, shapes.length);
  const waiting = [...out];
  for (const { name, bytes } of shapes) {
    let first: unknown;
    const found = waiting.findIndex((one) => {
      try {
        checkCarried(bed, bytes, one);
        return true;
      } catch (error) {
        if (one.bytes.length === bytes.length + bed.encap.overhead) first ??= error;
        return false;
      }
    });
    if (found < 0)
      must(
        false,
        `in a vector of ${shapes.length}, ${name}: ${first === undefined ? 'nothing like it comes out' : (first as Error).message}`,
      );
    waiting.splice(found, 1);
  }
}

const wholeVector = (bed: Bed, target: Target) => checkVector(bed, mixture(bed, [target]));
const mixedFamilies = (bed: Bed) => checkVector(bed, mixture(bed, bed.targets));

function vectorLengths(bed: Bed, target: Target): void {
  for (const length of [1, 2, 3, 4, 5, 7, 8, 9, 31, 255, 256, 257, 600]) {
    const packets = Array.from({ length }, (_, n) => ({
      name: `flow ${n}`,
      bytes: tcpPacket(target, flow(n)),
      ports: true,
    }));
    const out = bed.deliver(...packets.map(({ bytes }) => bytes));
    mustBe(`the number of packets that come out of ${length}`, out.length, length);
    if (length < 32) checkVector(bed, packets);
  }
}

function routes(bed: Bed, target: Target): void {
  const usual = new Map(bed.servers.map((server) => [server, bed.bench.routes.lookup(addressBytes(server))]));
  const flows = Array.from({ length: 32 }, (_, n) => tcpPacket(target, flow(n)));
  const before = bed.deliver(...flows).length;
  mustBe('the number of packets that come out', before, flows.length);
  const [dropped, punted] = bed.servers as [string, string];
  bed.bench.route(dropped, DROP << 24);
  bed.bench.route(punted, PUNT << 24);
  const out = bed.send(...flows);
  const to = (server: string) => out.filter(({ as }) => as !== 0 && bed.serverAddress(as) === server);
  mustBe(`the number of packets that come out for a server whose route says drop`, to(dropped).length, 0);
  const ends = new Set(to(punted).map(({ node }) => node));
  must(
    ends.size <= 1 && (ends.size === 0 || ends.has('punt')),
    `packets for a server whose route says punt come to ${[...ends]}, must come to punt`,
  );
  must(to(bed.servers[2]!).length > 0, 'nothing comes out for a server whose route is as before');
  for (const one of to(bed.servers[2]!)) mustBe('META_DPO', one.dpo, bed.serverDpo(one.as));
  for (const server of [dropped, punted]) bed.bench.route(server, usual.get(server)!);
}

function mtu(bed: Bed, target: Target): void {
  const sized = (bytes: number) => {
    const head = tcpPacket(target, {}, '').length;
    const whole = tcpPacket(target, {}, 'm'.repeat(bytes - head));
    // Don't fragment, where that is a thing to say.
    return target.family === 4 ? withFields4(whole, { df: true }) : whole;
  };
  const fits = sized(bed.longest);
  checkCarried(bed, fits, only(bed.deliver(fits), 'a packet that just fits'));
  const seen = bed.seen;
  const [answer, ...more] = bed.send(sized(bed.longest + 1));
  mustBe('the number of packets that came to its node, of those that are too big', bed.seen - seen, 0);
  must(answer !== undefined && more.length === 0, 'a packet that is too big is not answered by one ICMP error');
  const error = icmpOf(answer.bytes);
  mustBe('the MTU that the ICMP error tells', target.family === 4 ? error.rest & 0xffff : error.rest, bed.longest);
}

function ttl(bed: Bed, target: Target): void {
  const bytes = target.family === 4 ? withFields4(tcpPacket(target), { ttl: 1 }) : withHopLimit(tcpPacket(target), 1);
  if (bed.encap.tunnel) {
    checkCarried(bed, bytes, only(bed.deliver(bytes), 'a packet with TTL 1, which a tunnel carries'));
    return;
  }
  const seen = bed.seen;
  const [answer, ...more] = bed.send(bytes);
  mustBe('the number of packets that came to its node, of those whose TTL would become 0', bed.seen - seen, 0);
  must(
    answer !== undefined && more.length === 0,
    'a packet whose TTL would become 0 is not answered by one ICMP error',
  );
  mustBe('the type of the ICMP error', icmpOf(answer.bytes).type, target.family === 4 ? 11 : 3);
}

/** A router on the way of a server's answers says that one was too big; the server must hear it. */
function icmpErrors(bed: Bed, target: Target): void {
  const { family, address } = target;
  for (let n = 0; n < 8; n++) {
    const sent = tcpPacket(target, flow(n));
    const server = only(bed.deliver(sent), 'the flow').server;
    // The answer, as the router saw it: from the VIP to the client.
    const [source] = dissect(sent, 'ip');
    const client = (source!.fields as Ip4).src;
    const quoted = tcpPacket({ ...target, address: client, port: 1024 + n }, { src: address, sport: target.port });
    const layer = family === 4 ? icmp4({ type: 3, code: 4, rest: 1400 }) : icmp6({ type: 2, rest: 1400 });
    const around = { src: ROUTER[family], dst: address };
    const error = packet(family === 4 ? ip4(around) : ip6(around), layer, quoted);
    const out = only(bed.deliver(error), 'an ICMP error about a flow');
    mustBe('the server that gets the ICMP error', out.server, server);
    if (bed.encap.tunnel) checkCarried(bed, error, out);
    else checkTranslatedError(out, server);
  }
}

function checkTranslatedError({ bytes }: Delivered, server: string): void {
  const layers = dissect(bytes, 'ip');
  mustBe('the destination of the ICMP error', (layers[0]!.fields as Ip4 | Ip6).dst, server);
  for (const { protocol, checksum } of layers)
    must(checksum !== 'bad', `the ${protocol.protocol} checksum of the ICMP error is wrong`);
}

function trace(bed: Bed, target: Target): void {
  const { tracer } = bed.bench.bench.runtime;
  tracer.add(1);
  bed.send(tcpPacket(target));
  const steps = tracer.take()[0]?.steps ?? [];
  const own = steps.find(({ node }) => node === bed.encap.name);
  must(own !== undefined, `the trace has no step of its node: ${steps.map(({ node }) => node).join(', ')}`);
  must(own.text !== '', 'its node says nothing in the trace: declare `trace`');
  must(!own.text.startsWith('(its trace failed'), `its node can't say what it did: ${own.text}`);
}

function words(bed: Bed): void {
  for (const { vip } of bed.targets) {
    const said: unknown = bed.encap.show?.(vip);
    must(
      said === undefined || (typeof said === 'string' && /^\S.*$/.test(said)),
      `show() says ${JSON.stringify(said)}: must be a line of text`,
    );
  }
}

/** Without `lb conf ip4-src-address` there is nothing to send from. */
async function noSource(encap: Encap, options: Readonly<Record<string, unknown>>): Promise<void> {
  const bed = await Bed.create(encap, options, {});
  for (const target of bed.targets) {
    mustBe('the number of packets that come out without a source address', bed.deliver(tcpPacket(target)).length, 0);
  }
  const own = [...bed.counters()].filter(([name]) => name.startsWith(`${encap.name}: `));
  must(own.length > 0, 'no counter of its node says why packets are dropped');
  checkAccounts(bed);
}

function icmpOf(bytes: Uint8Array): Icmp {
  const layer = dissect(bytes, 'ip').find(({ protocol }) => protocol.protocol.startsWith('icmp'));
  must(layer !== undefined, 'what comes back is no ICMP error');
  return layer.fields as Icmp;
}

/** The same packet with other fields in its IPv4 header. */
function withFields4(bytes: Uint8Array, fields: Partial<Ip4>): Uint8Array {
  const { fields: old, payload, headerBytes } = ip4.parse(bytes);
  const { checksum: _, length: __, ...kept } = old;
  must(headerBytes === 20, 'the packet has options');
  return packet(ip4({ ...kept, ...fields }), new Uint8Array(payload));
}

function withHopLimit(bytes: Uint8Array, hops: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[7] = hops;
  return copy;
}
