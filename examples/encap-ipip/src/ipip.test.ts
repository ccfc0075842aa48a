import { Bed, conformance, expectPacket, ip4, ip6, ipLayer, packet, udp } from '@lbd/encap-kit';
import { describe, expect, it } from 'vitest';
import { ipip4, ipip6 } from './index.ts';

conformance(ipip4);
conformance(ipip6);

describe('outer headers', () => {
  it.each([ipip4, ipip6])('of $name are those of the RFCs', async (encap) => {
    const bed = await Bed.create(encap, { ttl: 33 });
    for (const target of bed.targets) {
      const inner = packet(ipLayer(target), udp({ sport: 5000, dport: 53 }), 'query');
      const [out] = bed.deliver(inner);
      const protocol = target.family === 4 ? 4 : 41;
      const outer =
        encap === ipip4
          ? ip4({
              src: '10.99.0.1',
              dst: out!.server,
              protocol,
              ttl: 33,
              tos: 0xb8,
              id: 0,
              df: false,
              length: inner.length + 20,
            })
          : ip6({
              src: '2001:db8:99::1',
              dst: out!.server,
              protocol,
              hopLimit: 33,
              trafficClass: 0xb8,
              flowLabel: 0,
              length: inner.length,
            });
      expectPacket(
        out!.bytes,
        outer,
        target.family === 4 ? ip4({ ttl: 33 }) : ip6({ hopLimit: 33 }),
        udp({ dport: 53 }),
        'query',
      );
    }
  });

  it('have the TTL that the configuration says, and nothing else is taken', async () => {
    await expect(Bed.create(ipip4, { ttl: 1 })).rejects.toThrow('encaps.ipip4.ttl');
    await expect(Bed.create(ipip4, { hops: 64 })).rejects.toThrow('hops');
  });
});
