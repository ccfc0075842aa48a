import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hex } from '../../packet/test/scapy.ts';
import {
  DNS,
  destinationOf,
  type Endpoint,
  FAMILIES,
  type Family,
  icmpError,
  LAN,
  l4Packet,
  NatBench,
  SERVERS,
  WEB,
} from '../test/family.ts';

/** VIPs of the model. The first two share servers and target port; the last is the only one of its. */
const SERVICES = [
  { vip: 1, ...WEB },
  { vip: 2, ...WEB, port: 9090 },
  { vip: 1, ...DNS },
];
const SECONDS = { udp: 300, transitory: 240, established: 7440, closed: 60 };

interface Session {
  readonly client: Endpoint;
  readonly service: (typeof SERVICES)[number];
  server: string;
  last: number;
  replied: boolean;
  /** Whose FIN, or anybody's RST, was seen. */
  ends: Set<string>;
}

const isClosed = ({ ends }: Session) => ends.has('R') || (ends.has('client') && ends.has('server'));
const isOver = (session: Session, now: number) => {
  if (session.service.protocol === 'udp') return session.last + SECONDS.udp <= now;
  if (isClosed(session)) return session.last + SECONDS.closed <= now;
  return session.last + (session.replied ? SECONDS.established : SECONDS.transitory) <= now;
};

/** NAT as one would explain it: a list of sessions, searched from its start. Which server is chosen it learns. */
class Model {
  sessions: Session[] = [];
  now = 5;

  of(client: Endpoint, service: Session['service']): Session | undefined {
    return this.sessions.find(
      (s) => s.client.address === client.address && s.client.port === client.port && s.service === service,
    );
  }

  byReply(server: string, protocol: string, targetPort: number, client: Endpoint): Session | undefined {
    return this.sessions.find(
      ({ service, ...s }) =>
        s.server === server &&
        service.protocol === protocol &&
        service.targetPort === targetPort &&
        s.client.address === client.address &&
        s.client.port === client.port,
    );
  }

  sent(session: Session, who: 'client' | 'server', flags: string): void {
    session.last = this.now;
    if (who === 'server') session.replied = true;
    if (session.service.protocol !== 'tcp') return;
    if (flags.includes('F')) session.ends.add(who);
    if (flags.includes('R')) session.ends.add('R');
  }

  end(session: Session): void {
    this.sessions = this.sessions.filter((other) => other !== session);
  }

  wait(seconds: number): void {
    this.now += seconds;
    this.sessions = this.sessions.filter((session) => !isOver(session, this.now));
  }
}

const flags = fc.constantFrom('S', 'A', 'PA', 'FA', 'R');
const who = { client: fc.nat(3), port: fc.integer({ min: 1, max: 3 }), service: fc.nat(SERVICES.length - 1) };
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('request' as const), ...who, flags }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('reply' as const), ...who, flags, server: fc.constantFrom(...SERVERS) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), ...who, flags }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(1, 30, 61, 200, 301, 7500) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('error' as const),
      ...who,
      toVip: fc.boolean(),
      fromServer: fc.boolean(),
      // Of half a checksum (TCP's is at 16) nobody can tell what it was.
      more: fc.integer({ min: 8, max: 40 }).filter((bytes) => bytes !== 17),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Run {
  readonly model = new Model();
  readonly f: Family;
  readonly nat: NatBench;
  #n = 0;

  constructor(f: Family, nat: NatBench) {
    this.f = f;
    this.nat = nat;
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'wait') {
      this.model.wait(step.seconds);
      this.nat.lb.now += step.seconds * 1000;
      await this.nat.lb.lb.sweep();
      expect(this.nat.lb.lb.summary().sessions[0]!.sessions).toBe(this.model.sessions.length);
      return;
    }
    const client = { address: this.f.client(step.client), port: step.port };
    const service = SERVICES[step.service]!;
    if (step.kind === 'request') this.request(client, service, step.flags);
    else if (step.kind === 'reply') this.reply(this.f.server(step.server), client, service, step.flags);
    else {
      const session = this.model.of(client, service);
      if (!session) return;
      if (step.kind === 'answer') this.reply(session.server, client, service, step.flags);
      else this.error(session, step.toVip, step.fromServer, this.f.ipBytes + step.more);
    }
  }

  request(client: Endpoint, service: Session['service'], flags: string): void {
    const { f, model } = this;
    const { protocol, port, targetPort } = service;
    const more = { flags, payload: `packet ${this.#n++}` };
    const from = { src: client.address, sport: client.port };
    const out = this.nat.one(l4Packet(f, protocol, from, { dst: f.vip(service.vip), dport: port }, more)).bytes;
    const server = destinationOf(out);
    expect(hex(out)).toBe(hex(l4Packet(f, protocol, from, { dst: server, dport: targetPort }, more)));
    let session = model.of(client, service);
    if (session && protocol === 'tcp' && flags.includes('S') && isClosed(session)) {
      model.end(session);
      session = undefined;
    }
    if (session) expect(server).toBe(session.server);
    else {
      // Whose replies could not be told from this flow's must have ended.
      const rival = model.byReply(server, protocol, targetPort, client);
      if (rival) expect(isClosed(rival)).toBe(true);
      if (rival) model.end(rival);
      session = { client, service, server, last: 0, replied: false, ends: new Set() };
      model.sessions.push(session);
    }
    model.sent(session, 'client', flags);
  }

  reply(server: string, client: Endpoint, service: Session['service'], flags: string): void {
    const { f, model } = this;
    const { protocol, targetPort } = service;
    const more = { flags, payload: `packet ${this.#n++}` };
    const to = { dst: client.address, dport: client.port };
    const bytes = l4Packet(f, protocol, { src: server, sport: targetPort }, to, more);
    const [out] = this.nat.send([bytes], LAN);
    const session = model.byReply(server, protocol, targetPort, client);
    const sharers = SERVICES.filter((s) => s.protocol === protocol && s.targetPort === targetPort);
    const side = session?.service ?? (sharers.length === 1 ? sharers[0] : undefined);
    const expected = side ? l4Packet(f, protocol, { src: f.vip(side.vip), sport: side.port }, to, more) : bytes;
    expect([out!.node, hex(out!.bytes)]).toEqual([side ? 'sink' : 'punt', hex(expected)]);
    if (session) model.sent(session, 'server', flags);
  }

  error({ client, service, server: address }: Session, toVip: boolean, fromServer: boolean, quoted: number): void {
    const { f } = this;
    const server = { address, port: service.targetPort };
    const vip = { address: f.vip(service.vip), port: service.port };
    const { protocol } = service;
    const common = { protocol, quoted };
    const [before, after] = toVip
      ? [
          { from: f.router, to: vip.address, source: vip, destination: client },
          { from: f.router, to: address, source: server, destination: client },
        ]
      : [
          { from: fromServer ? address : f.router, to: client.address, source: client, destination: server },
          { from: fromServer ? vip.address : f.router, to: client.address, source: client, destination: vip },
        ];
    const out = this.nat.one(icmpError(f, { ...common, ...before! }), toVip ? 0 : LAN).bytes;
    expect(hex(out)).toBe(hex(icmpError(f, { ...common, ...after! })));
  }
}

describe.each(FAMILIES)('$name', (f) => {
  it('does what a naive model does, whatever comes in whichever order', async () => {
    const nat = await NatBench.create(f);
    await nat.add(nat.vip(2, { ...WEB, port: 9090 }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const run = new Run(f, nat);
        try {
          for (const one of steps) await run.step(one);
        } finally {
          // Long enough for all sessions to end.
          nat.lb.now += 8_000_000;
          await nat.lb.lb.sweep();
        }
        expect(nat.lb.lb.summary().sessions[0]!.sessions).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
