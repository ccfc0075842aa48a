// ICMP errors to the source address of tunnels, which need not be an address of the host: with VPP it is none.
import { writeFileSync } from 'node:fs';
import { PcapReader, PcapWriter } from '@lbd/io-pcap';
import { ethernet, expectPacket, gre, icmp6, ip6, packet, udp } from '@lbd/packet';
import { afterAll, expect, it } from 'vitest';
import { Captures } from './testing/captures.ts';
import { vectors } from './testing/vectors.ts';

const captures = new Captures();
afterAll(() => captures.remove());

const { setup } = vectors().find(({ name }) => name === 'gre6-v6-port')!;
const [clients, servers] = setup.interfaces;
const ROUTER = '2002:1::99';

it('are for lbd, which tells the client', async () => {
  const client = packet(
    ip6({ src: 'fd00::77', dst: '2001::1' }),
    udp({ sport: 5000, dport: 20000 }),
    new Uint8Array(1350).fill(7),
  );
  const outer = packet(ip6({ src: '2004::1', dst: '2002:1::1:1', hopLimit: 126 }), gre({ type: 0x86dd }), client);
  const frame = (dst: string) =>
    packet(
      ethernet({ dst: servers!.mac, src: '02:00:00:02:00:01' }),
      ip6({ src: ROUTER, dst }),
      icmp6({ type: 2, rest: 1400 }),
      outer.slice(0, 1232),
    );
  const writer = PcapWriter.create(captures.path('in.pcap'));
  writer.write(1n, frame('2004::1'));
  // what is not about a tunnel packet from this address is the kernel's
  writer.write(2n, frame('2002:1::1'));
  writer.close();
  const config = {
    memory: '128MiB',
    buffers: 2048,
    interfaces: [
      { name: clients!.name, driver: 'pcap', out: captures.path('out.pcap') },
      { name: servers!.name, driver: 'pcap', in: captures.path('in.pcap'), punt: captures.path('punt.pcap') },
    ],
    static: { interfaces: setup.interfaces, neighbours: setup.neighbours, routes: setup.routes },
    commands: setup.commands,
  };
  writeFileSync(captures.path('lbd.yaml'), JSON.stringify(config));
  const show = ['show errors'];
  const { stdout, stderr } = await captures.run('lbd', ['replay', '--config', captures.path('lbd.yaml'), ...show]);
  expect(stderr).toBe('');
  const [told, ...more] = [...PcapReader.open(captures.path('out.pcap'))];
  expect(more).toEqual([]);
  expectPacket(
    told!.bytes,
    ethernet({ src: clients!.mac, dst: '02:00:00:00:00:02' }),
    // by the interface that the router's word came in on
    ip6({ src: '2002:1::1', dst: 'fd00::77' }),
    icmp6({ type: 2, code: 0, rest: 1400 - 44 }),
    client.slice(0, 1232 - 44),
  );
  expect([...PcapReader.open(captures.path('punt.pcap'))]).toHaveLength(1);
  expect(stdout).toMatch(/lb-tunnel-errors.*too big|too big.*lb-tunnel-errors/);
});
