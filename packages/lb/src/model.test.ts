import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asis, FAMILIES, type FamilyWords, flowPacket } from '../test/asis.ts';
import { Model } from '../test/model.ts';
import type { VipSpec } from './index.ts';
import { LbBench } from './testing.ts';

const FLOWS = 40;

/** An all-port VIP, and one of two ports on one prefix beside it. */
function vipsOf(f: FamilyWords): Record<string, { spec: VipSpec; dst: string; dport: number }> {
  const base = { encap: `asis${f.family}`, type: 'clusterip', newLen: 256, srcIpSticky: false } as const;
  const port = { protocol: 'udp', prefix: f.family === 4 ? '80.0.0.1/32' : '2001:db8:80::1/128' } as const;
  const dst = port.prefix.split('/')[0]!;
  return {
    all: { spec: { ...base, prefix: f.prefix }, dst: f.vip, dport: 53 },
    dns: { spec: { ...base, ...port, port: 53 }, dst, dport: 53 },
    ntp: { spec: { ...base, ...port, port: 123 }, dst, dport: 123 },
  };
}

/** What may happen. Times are seconds. */
const steps = (f: FamilyWords) => {
  const vip = fc.constantFrom('all', 'dns', 'ntp');
  const servers = [...f.servers, ...f.servers.map((address) => address.replace(/(\d)$/, '1$1'))];
  const address = fc.constantFrom(...servers);
  const addresses = fc.uniqueArray(address, { minLength: 1, maxLength: 4 });
  const weight = fc.oneof(fc.constant(0), fc.constant(100), fc.integer({ min: 1, max: 100 }));
  const flush = fc.boolean();
  const flows = fc.uniqueArray(fc.nat(FLOWS - 1), { minLength: 1, maxLength: FLOWS });
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ do: fc.constant('packets' as const), vip, flows }) },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant('add' as const),
          vip,
          addresses,
          weight: fc.option(weight, { nil: undefined }),
          flush,
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('weight' as const), vip, address, weight, flush }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), vip, addresses, flush }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const), vip }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('delete VIP' as const), vip }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('add VIP' as const), vip }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.nat(45) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('flush all' as const) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('buckets' as const), log2: fc.integer({ min: 9, max: 12 }) }),
      },
    ),
    { minLength: 10, maxLength: 40 },
  );
};
type Step = ReturnType<typeof steps> extends fc.Arbitrary<(infer S)[]> ? S : never;

class Run {
  readonly model = new Model(256);
  readonly vips: ReturnType<typeof vipsOf>;
  readonly f: FamilyWords;
  readonly bench: LbBench;

  constructor(f: FamilyWords, bench: LbBench) {
    this.f = f;
    this.bench = bench;
    this.vips = vipsOf(f);
    this.model.now = bench.now / 1000;
  }

  /** Both refuse, or both do it. */
  async both(modelled: () => void, done: () => Promise<unknown>): Promise<void> {
    let refusal = '';
    try {
      modelled();
    } catch (error) {
      refusal = (error as Error).message;
    }
    if (refusal === '') await done();
    else await expect(done()).rejects.toThrow(refusal);
  }

  async step(step: Step): Promise<void> {
    const { model, bench } = this;
    const { lb } = bench;
    if (step.do === 'wait') {
      model.now += step.seconds;
      bench.now += step.seconds * 1000;
      await lb.sweep();
    } else if (step.do === 'flush all') {
      model.flushAll();
      await lb.flushFlowTable();
    } else if (step.do === 'buckets') await lb.lbConf({ buckets: 1 << step.log2 });
    else if (step.do === 'packets') this.packets(step.vip, step.flows);
    else {
      const name = step.vip;
      const { spec } = this.vips[name]!;
      if (step.do === 'add VIP') {
        await this.both(
          () => model.addVip(name),
          () => lb.addVip(spec),
        );
      } else if (step.do === 'delete VIP') {
        await this.both(
          () => model.deleteVip(name),
          () => lb.deleteVip(spec),
        );
      } else if (step.do === 'flush') {
        await this.both(
          () => model.flushVip(name),
          () => lb.flushVip(spec),
        );
      } else if (step.do === 'add') {
        const { addresses, weight, flush } = step;
        const more = weight === undefined ? {} : { weight };
        await this.both(
          () => model.add(name, addresses, weight, flush),
          () => lb.addServers({ vip: spec, addresses, flush, ...more }),
        );
      } else if (step.do === 'weight') {
        const { address, weight, flush } = step;
        await this.both(
          () => model.setWeight(name, address, weight, flush),
          () => lb.setWeight({ vip: spec, address, weight, flush }),
        );
      } else {
        const { addresses, flush } = step;
        await this.both(
          () => model.delete(name, addresses, flush),
          () => lb.deleteServers({ vip: spec, addresses, flush }),
        );
      }
    }
    this.compare();
  }

  /** Packets of flows, in one vector. */
  packets(name: string, flows: readonly number[]): void {
    const { f } = this;
    const { dst, dport } = this.vips[name]!;
    const out = this.bench.send(flows.map((n) => flowPacket(f, n, { dst, dport })));
    const came = new Map(out.map((sent) => [Buffer.from(sent.bytes).toString('hex'), sent]));
    for (const n of flows) {
      const sent = came.get(Buffer.from(flowPacket(f, n, { dst, dport })).toString('hex'));
      const server = this.model.packet(name, String(n), f.hash(f.client(n), dst, 1024 + n, dport));
      const last = (address: string) => Number.parseInt(address.split(/[.:]/).at(-1)!, f.family === 4 ? 10 : 16);
      if (server === undefined)
        expect(sent?.node).toBe(this.model.vips.size > 0 && this.prefixThere(name) ? 'punt' : 'sink');
      else if (server === '') expect(sent).toBeUndefined();
      else expect([n, sent!.node, sent!.dpo & 0xffffff]).toEqual([n, 'sink', last(server)]);
    }
  }

  /** Another port of the prefix is served. */
  prefixThere(name: string): boolean {
    const { prefix } = this.vips[name]!.spec;
    return [...this.model.vips.keys()].some((other) => this.vips[other]!.spec.prefix === prefix);
  }

  compare(): void {
    const states = this.bench.lb.vips();
    expect(states).toHaveLength(this.model.vips.size);
    for (const [name, vip] of this.model.vips) {
      const { prefix, port } = this.vips[name]!.spec;
      const state = states.find((other) => other.prefix === prefix && other.port === port)!;
      const { existing, first, none } = vip.counters;
      expect(state.counters).toEqual({ existingSessions: existing, firstSession: first, untracked: 0, noServer: none });
      const table = this.model.table(vip);
      for (const [address, { weight, removed }] of vip.servers) {
        const flows = this.model.flowsOf(vip, address);
        const server = state.servers.find((other) => other.address === address);
        // A deleted server is there until its flows have ended.
        if (removed && flows === 0) continue;
        const buckets = table.filter((other) => other === address).length;
        expect(server).toMatchObject({ weight, flows, buckets, state: removed ? 'removed' : 'used' });
      }
      expect(state.flows).toBe([...vip.servers.keys()].reduce((n, address) => n + this.model.flowsOf(vip, address), 0));
    }
  }
}

describe.each(FAMILIES.map((f) => ({ what: `IPv${f.family}`, f })))('any sequence of changes, $what', ({ f }) => {
  it('sends each flow where a naive model says, refuses what it refuses, and counts what it counts', async () => {
    await fc.assert(
      fc.asyncProperty(steps(f), async (list) => {
        const bench = await LbBench.create([asis(f.family)], { sizes: { buckets: 2048, maxServers: 4096 } });
        const run = new Run(f, bench);
        for (const name of ['all', 'dns'] as const) {
          await run.step({ do: 'add VIP', vip: name });
          await run.step({ do: 'add', vip: name, addresses: [...f.servers], weight: undefined, flush: false });
        }
        for (const step of list) await run.step(step);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});
