import { type Actor, BalancerLab, type Daemon, labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const VIP = { host: '10.10.3.3', port: 5353 };
const VIP_KEY = '10.10.3.3/32 protocol udp port 5353';

/**
 * Sends datagrams with scapy from 10.1.0.2 and prints those that come back, as [source port, payload, checksum right].
 * The checksum of what comes back is verified by computing it anew from the packet's bytes.
 */
const SCAPY = `
import json, sys
from scapy.all import IP, UDP, Ether, Raw, AsyncSniffer, sendp
mac, kinds = sys.argv[1], json.loads(sys.argv[2])
def right(packet):
    copy = packet[IP].copy()
    del copy[UDP].chksum
    del copy.chksum
    again = IP(bytes(copy))
    return [packet[UDP].chksum == 0 or again[UDP].chksum == packet[UDP].chksum, again.chksum == packet[IP].chksum]
sniffer = AsyncSniffer(iface='eth0', filter='udp and src host 10.10.3.3', count=len(kinds), timeout=4)
sniffer.start()
import time; time.sleep(0.5)
for number, kind in enumerate(kinds):
    packet = Ether(dst=mac) / IP(src='10.1.0.2', dst='10.10.3.3') / UDP(sport=20000 + number, dport=5353) / Raw(kind.encode())
    if kind == 'no checksum': packet[UDP].chksum = 0
    if kind == 'damaged': packet[UDP].chksum = 0x1234
    sendp(packet, iface='eth0', verbose=False)
    time.sleep(0.05)
sniffer.join()
print(json.dumps([[p[UDP].sport, p[UDP].dport, bytes(p[UDP].payload).decode(), right(p)] for p in sniffer.results]))
`;

/** Sniffs on a server and prints [payload, UDP checksum as it is, as it should be] of each datagram. */
const SNIFF = `
import json, sys
from scapy.all import IP, UDP, AsyncSniffer, conf
import time
sniffer = AsyncSniffer(iface='eth0', filter='udp and dst port 53', count=int(sys.argv[1]), timeout=6)
sniffer.start()
time.sleep(0.5)
print('listening', flush=True)
sniffer.join()
def again(packet):
    copy = packet[IP].copy()
    del copy[UDP].chksum
    return IP(bytes(copy))[UDP].chksum
print(json.dumps([[bytes(p[UDP].payload).decode(), p[UDP].chksum, again(p)] for p in sniffer.results]), flush=True)
`;

describe.each([
  { driver: 'af_xdp', need: 'xdp' },
  { driver: 'af_packet', need: 'namespaces' },
] as const)('UDP through NAT4 with $driver', ({ driver, need }) => {
  labSuite(describe, need, 'by the kernels’ own UDP, and by scapy', () => {
    let lab: BalancerLab;
    let lbd: Daemon;
    let client: Actor;
    let servers: Actor[];

    beforeAll(async () => {
      lab = await BalancerLab.create('udp');
      client = await lab.client.actor();
      servers = await lab.serverActors();
      for (const server of servers) await server.call('udpEcho', { port: 53 });
      lbd = await lab.start({
        ...lab.config({ driver }),
        commands: [
          `lb vip ${VIP_KEY} encap nat4 type clusterip target_port 53`,
          `lb as ${VIP_KEY} ${lab.serverAddresses.join(' ')}`,
        ],
      });
    });

    afterAll(async () => {
      await lab?.destroy();
    });

    it('brings every datagram to a server whose kernel finds it whole, and the answer back', async () => {
      const before = await Promise.all(servers.map((server) => server.call('udpReceived')));
      // 37 and 1400 bytes: an odd and an even number. The receiving kernels verify the checksums.
      for (const bytes of [37, 1400]) {
        const result = await client.call('udpLoad', { ...VIP, sockets: 60, datagrams: 5, bytes });
        expect(result).toMatchObject({ answered: 300, lost: 0, damaged: 0 });
        for (const flow of result.flows) expect(flow.servers.length).toBe(1);
        expect(Object.keys(result.servers).sort()).toEqual(['server1', 'server2', 'server3']);
      }
      const after = await Promise.all(servers.map((server) => server.call('udpReceived')));
      expect(after.reduce((sum, count, i) => sum + count - before[i], 0)).toBe(600);
    });

    it('rewrites checksums that scapy finds right; none stays none, damage stays damage', async () => {
      const kinds = ['computed', 'no checksum', 'damaged', 'odd length'];
      const [server] = lab.servers;
      await lbd.command(`lb as ${VIP_KEY} 192.168.1.2 192.168.1.3 weight 0`); // all new flows to server1
      const sniffer = server.spawnPython(SNIFF, [String(kinds.length)]);
      await sniffer.waitForOutput(/listening/);
      const mac = lab.ends.wan.mac;
      const back = JSON.parse(await lab.client.python(SCAPY, [mac, JSON.stringify(kinds)]));
      await sniffer.exited;
      const seen = JSON.parse(sniffer.stdout.split('\n')[1]) as [string, number, number][];
      expect(seen.map(([kind]) => kind).sort()).toEqual([...kinds].sort());
      for (const [kind, checksum, should] of seen) {
        if (kind === 'no checksum') expect(checksum).toBe(0);
        else if (kind === 'damaged') expect(checksum).not.toBe(should);
        else expect(checksum).toBe(should);
      }
      // The server's kernel threw the damaged one away; the others were answered from the VIP's own port.
      const answered = [
        [5353, 20000, 'server1:computed', [true, true]],
        [5353, 20001, 'server1:no checksum', [true, true]],
        [5353, 20003, 'server1:odd length', [true, true]],
      ];
      expect(back).toEqual(answered);
    });
  });
});
