import { type Actor, BalancerLab, type Daemon, labSuite, sleep, VIP_URL, waitFor } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { difference, errorCounters } from './support/counters.ts';

/** Sends one kind of bad packet, `count` times, from the client to lbd's MAC. */
const SEND = `
import sys
from scapy.all import IP, TCP, UDP, Ether, Raw, sendp
mac, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ether = Ether(dst=mac, type=0x0800)
ip = IP(src='10.1.0.2', dst='10.10.2.2')
tcp = TCP(sport=30000, dport=8080, flags='S')
good = bytes(ip / tcp)
def changed(offset, value):
    data = bytearray(good)
    data[offset] = value
    return bytes(data)
def rechecked(data):
    packet = IP(data)
    del packet.chksum
    return bytes(packet)
packets = {
    'bad checksum': lambda: ether / Raw(bytes(ip.__class__(src='10.1.0.2', dst='10.10.2.2', chksum=0x1234) / tcp)),
    'truncated': lambda: ether / Raw(bytes(IP(src='10.1.0.2', dst='10.10.2.2', len=400) / tcp)),
    'short length': lambda: ether / Raw(bytes(IP(src='10.1.0.2', dst='10.10.2.2', len=10) / tcp)),
    'bad version': lambda: ether / Raw(changed(0, 0x55)),
    'bad header length': lambda: ether / Raw(changed(0, 0x42)),
    'options beyond the end': lambda: ether / Raw(changed(0, 0x4f)),
    'runt': lambda: ether / Raw(good[:12]),
    'no ports': lambda: ether / Raw(bytes(IP(src='10.1.0.2', dst='10.10.2.2', proto=6) / Raw(b'\\x75'))),
    'empty': lambda: ether,
}
sendp([packets[kind]()] * count, iface='eth0', verbose=False)
`;

/** Buffers that the input node lets gather before it refills a ring; there are two. */
const REFILL_BATCH = 64;
const COUNT = 7;

labSuite(describe, 'xdp', 'hostile packets', () => {
  let lab: BalancerLab;
  let lbd: Daemon;
  let client: Actor;

  beforeAll(async () => {
    lab = await BalancerLab.create('hostile');
    await lab.httpServers();
    client = await lab.client.actor();
    lbd = await lab.start({ ...lab.config({ driver: 'af_xdp' }), commands: lab.vipCommands });
    await client.call('httpLoad', { url: VIP_URL, requests: 10, perConnection: 1 });
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  /** Counters once nothing moves any more: the last segments of connections that ended may still be on their way. */
  async function settled(): Promise<Record<string, number>> {
    let counters = await errorCounters(lbd);
    await waitFor('nothing to move', async () => {
      const before = counters;
      await sleep(200);
      counters = await errorCounters(lbd);
      return Object.keys(difference(before, counters)).length === 0;
    });
    return counters;
  }

  async function counted(kind: string): Promise<Record<string, number>> {
    const before = await settled();
    await lab.client.python(SEND, [lab.ends.wan.mac, kind, String(COUNT)]);
    await sleep(300);
    return difference(before, await errorCounters(lbd));
  }

  // The XDP program takes these: they are addressed to a VIP as far as it looks.
  it.each(['bad checksum', 'truncated'])('%s: counted, once each, by a reason of its own', async (kind) => {
    const change = await counted(kind);
    expect(Object.values(change)).toEqual([COUNT]);
  });

  it('give different reasons different names', async () => {
    const [checksum] = Object.keys(await counted('bad checksum'));
    const [truncated] = Object.keys(await counted('truncated'));
    expect(checksum).not.toBe(truncated);
  });

  // What is not even recognisable as traffic of a VIP may be left to the kernel, which knows what to do with it.
  it.each(['short length', 'bad version', 'bad header length', 'options beyond the end', 'runt', 'no ports', 'empty'])(
    '%s: counted, or left to the kernel; never sent on',
    async (kind) => {
      const sent = async () => (await lbd.data('show interface')).map((i: { txPackets: number }) => i.txPackets);
      const before = await sent();
      for (const count of Object.values(await counted(kind))) expect(count).toBe(COUNT);
      expect(await sent()).toEqual(before);
    },
  );

  it('do not disturb anyone', async () => {
    const free = async (): Promise<number> => (await lbd.data('show runtime')).workers[0].freeBuffers;
    const before = await free();
    await client.call('httpStart', { url: VIP_URL, connections: 4, perConnection: 10 });
    for (const kind of ['bad checksum', 'truncated', 'bad version', 'runt']) {
      await lab.client.python(SEND, [lab.ends.wan.mac, kind, '500']);
    }
    const result = await client.call('httpStop');
    expect(result.errors).toEqual([]);
    // No buffer is lost for good: as many are free again, but for a batch that waits to go back on a fill ring.
    await waitFor('the buffers to be free', async () => Math.abs((await free()) - before) <= 2 * REFILL_BATCH);
  });
});
