import { execFileSync } from 'node:child_process';
import { Bed, ipLayer, packet, udp } from '@lbd/encap-kit';
import { describe, expect, it } from 'vitest';
import { ipip4, ipip6 } from '../src/index.ts';

/** What scapy, which has nothing of ours, makes of a packet: the layers, and whether it would build the same bytes. */
const SCRIPT = `
import sys
from scapy.all import IP, IPv6, UDP, raw
for line in sys.stdin:
    data = bytes.fromhex(line)
    p = (IPv6 if data[0] >> 4 == 6 else IP)(data)
    names, layer = [], p
    while layer.payload:
        names.append(layer.name)
        layer = layer.payload
    q = p.copy()
    for field in ('len', 'plen', 'chksum'):
        if field in q.fields: del q.fields[field]
    print(' '.join(names), p.dst, raw(q) == data)
`;

function scapy(packets: readonly Uint8Array[]): string[] {
  const input = packets.map((bytes) => Buffer.from(bytes).toString('hex')).join('\n');
  return execFileSync('/usr/bin/python3', ['-c', SCRIPT], { input, encoding: 'utf8' }).trim().split('\n');
}

describe('scapy reads', () => {
  it.each([
    [ipip4, ['IP IP UDP', 'IP IPv6 UDP']],
    [ipip6, ['IPv6 IP UDP', 'IPv6 IPv6 UDP']],
  ] as const)('$name as IP in IP', async (encap, layers) => {
    const bed = await Bed.create(encap);
    const out = bed.targets.flatMap((target) =>
      bed.deliver(packet(ipLayer(target), udp({ sport: 5000, dport: 53 }), 'query')),
    );
    expect(scapy(out.map(({ bytes }) => bytes))).toEqual(layers.map((names, i) => `${names} ${out[i]!.server} True`));
  });
});
