import { secondsAt } from '@lbd/graph';
import { packet, udp } from '@lbd/packet';
import { STICKY_BYTES } from '@lbd/sticky';
import { beforeEach, describe, expect, it } from 'vitest';
import { asis, FAMILIES } from '../test/asis.ts';
import { LB_STICKY, type VipSpec } from './index.ts';
import { crowdedFlows, type FlowEnds, hashOfFlow, LbBench } from './testing.ts';

const BUCKETS = 64;

describe.each(FAMILIES.map((f) => ({ what: `IPv${f.family}`, f })))(
  'flows whose own bucket of the sticky table is full, $what,',
  ({ f }) => {
    let bench: LbBench;
    const vip: VipSpec = {
      prefix: f.prefix,
      encap: `asis${f.family}`,
      type: 'clusterip',
      newLen: 1024,
      srcIpSticky: false,
    };
    const flows = crowdedFlows((n) => ({ src: f.client(n), dst: f.vip, sport: 1024 + n, dport: 53 }), BUCKETS, 11);
    const own = hashOfFlow(flows[0]!) % BUCKETS;
    const other = own ^ (BUCKETS / 2);
    /** The four that are in their own bucket, those in the other, and those that find no room. */
    const [first, crowd, rest] = [flows.slice(0, 4), flows.slice(4, 8), flows.slice(8)] as const;

    beforeEach(async () => {
      bench = await LbBench.create([asis(4), asis(6)], { sizes: { buckets: BUCKETS } });
      await bench.lb.addVip(vip);
      await bench.lb.addServers({ vip, addresses: f.servers, flush: false });
    });

    const send = (list: readonly FlowEnds[]) =>
      bench
        .send(list.map(({ src, dst, sport, dport }) => packet(f.ip({ src, dst }), udp({ sport, dport }))))
        .map(({ dpo }) => dpo & 0xffffff);
    /** New flows go to the last server from now on. */
    const moveNewFlows = async () => {
      for (const address of f.servers.slice(0, -1)) await bench.lb.setWeight({ vip, address, weight: 0, flush: false });
    };
    /** Hash and expiry of the live flows of a bucket. */
    const bucket = (index: number) => {
      const { u32 } = bench.arena.memory;
      const at = (u32[(bench.handles.blocks[0]! + LB_STICKY) >>> 2]! + STICKY_BYTES + index * 64) >>> 2;
      const entries = [0, 1, 2, 3].map((slot) => ({ hash: u32[at + slot]!, expiry: u32[at + 4 + slot]! }));
      return entries.filter(({ expiry }) => expiry > secondsAt(bench.now));
    };
    const hashesIn = (index: number) =>
      bucket(index)
        .map(({ hash }) => hash)
        .sort();
    const hashes = (list: readonly FlowEnds[]) => list.map(hashOfFlow).sort();
    const counters = () => bench.lb.vips()[0]!.counters;

    it('are remembered in the other one', async () => {
      const servers = send([...first, ...crowd]);
      expect(hashesIn(own)).toEqual(hashes(first));
      expect(hashesIn(other)).toEqual(hashes(crowd));
      await moveNewFlows();
      // one at a time, in one vector, and in another order
      expect(flows.slice(0, 8).flatMap((flow) => send([flow]))).toEqual(servers);
      expect(send(flows.slice(0, 8))).toEqual(servers);
      expect(send(flows.slice(0, 8).reverse())).toEqual(servers.reverse());
      expect(counters()).toEqual({ firstSession: 8, existingSessions: 24, untracked: 0, noServer: 0 });
    });

    it('are untracked when that is full, too', async () => {
      send([...first, ...crowd]);
      await moveNewFlows();
      expect(send(rest)).toEqual(rest.map(() => f.servers.length));
      expect(counters()).toMatchObject({ firstSession: 8, existingSessions: 0, untracked: rest.length });
    });

    it('live as long as they have packets', async () => {
      const servers = send([...first, ...crowd]).slice(4);
      await moveNewFlows();
      for (let turn = 0; turn < 4; turn++) {
        bench.now += 30_000;
        expect(send(crowd)).toEqual(servers);
      }
      const seconds = secondsAt(bench.now);
      // Their own bucket has been free for long: they stay where they are.
      expect(bucket(own)).toEqual([]);
      expect(bucket(other).map(({ expiry }) => expiry - seconds)).toEqual([40, 40, 40, 40]);
      bench.now += 40_000;
      expect(send(crowd)).toEqual(crowd.map(() => f.servers.length));
      expect(hashesIn(own)).toEqual(hashes(crowd));
    });

    it('are flushed', async () => {
      send([...first, ...crowd]);
      await moveNewFlows();
      await bench.lb.flushFlowTable();
      expect(bucket(other)).toEqual([]);
      expect(send(crowd)).toEqual(crowd.map(() => f.servers.length));
    });

    it('are counted, and move to a table of another size', async () => {
      const servers = send([...first, ...crowd]);
      await moveNewFlows();
      // two buckets have room for just these
      for (const buckets of [4096, 2, BUCKETS]) {
        await bench.lb.lbConf({ buckets });
        expect(bench.lb.summary().sticky[0]!.used).toBe(8);
        expect(send([...first, ...crowd])).toEqual(servers);
      }
      await bench.lb.lbConf({ buckets: 1 });
      expect(bench.lb.summary().sticky[0]!.used).toBe(4);
    });

    it('get the ICMP errors about them', async () => {
      const servers = send([...first, ...crowd]).slice(4);
      await moveNewFlows();
      const errors = crowd.map(({ src, dst, sport, dport }) => {
        const quoted = packet(f.ip({ src: dst, dst: src }), udp({ sport: dport, dport: sport }));
        return packet(f.ip({ src: f.router, dst }), f.icmp({ type: f.errors[0]!, code: 0 }), quoted);
      });
      expect(bench.send(errors).map(({ dpo }) => dpo & 0xffffff)).toEqual(servers);
    });
  },
);
