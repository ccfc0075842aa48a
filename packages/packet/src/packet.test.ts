import { describe, expect, it } from 'vitest';
import { hex, scapy, unhex } from '../test/scapy.ts';
import * as P from './index.ts';
import {
  arp,
  ethernet,
  expectPacket,
  gre,
  icmp4,
  icmp6,
  ip4,
  ip6,
  type Part,
  packet,
  packetInto,
  tcp,
  udp,
} from './index.ts';

const macs = { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' };
const v4 = { src: '10.0.0.1', dst: '192.168.255.254' };
const v6 = { src: '2001:db8::1', dst: 'fd00::ffff:1' };
const options = Uint8Array.of(2, 4, 5, 180, 1, 3, 3, 7); // MSS 1460, NOP, window scale 7
const E = `Ether(src='${macs.src}', dst='${macs.dst}')`;
const I4 = `IP(src='${v4.src}', dst='${v4.dst}'`;
const I6 = `IPv6(src='${v6.src}', dst='${v6.dst}'`;

/** The same packets twice: in our words, and in scapy's. */
const SAME: [string, Part[], string][] = [
  [
    'udp',
    [ethernet(macs), ip4(v4), udp({ sport: 1234, dport: 53 }), 'hello'],
    `${E}/${I4})/UDP(sport=1234,dport=53)/b'hello'`,
  ],
  [
    'tcp with options',
    [
      ethernet(macs),
      ip4({ ...v4, ttl: 3, tos: 0xb8, id: 7, df: true }),
      tcp({ sport: 1, dport: 80, seq: 0xfffffff0, ack: 9, flags: 'SA', window: 512, options }),
      'x',
    ],
    `${E}/${I4},ttl=3,tos=0xb8,id=7,flags='DF')/TCP(sport=1,dport=80,seq=0xfffffff0,ack=9,flags='SA',window=512,options=[('MSS',1460),('NOP',None),('WScale',7)])/b'x'`,
  ],
  [
    'ip4 options',
    [ethernet(macs), ip4({ ...v4, options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0) }), udp({ sport: 5, dport: 6 }), 'abc'],
    `${E}/${I4},options=[IPOption_RR(routers=['0.0.0.0'])])/UDP(sport=5,dport=6)/b'abc'`,
  ],
  [
    'icmp echo',
    [ethernet(macs), ip4(v4), icmp4({ type: 8, id: 77, sequence: 3 }), 'ping'],
    `${E}/${I4})/ICMP(id=77,seq=3)/b'ping'`,
  ],
  [
    'later fragment',
    [ethernet(macs), ip4({ ...v4, protocol: 17, fragmentOffset: 1480, mf: true, id: 9 }), 'body'],
    `${E}/${I4},proto=17,frag=185,flags='MF',id=9)/b'body'`,
  ],
  [
    'udp6',
    [
      ethernet(macs),
      ip6({ ...v6, trafficClass: 0xb8, flowLabel: 0x12345, hopLimit: 9 }),
      udp({ sport: 1, dport: 2 }),
      'six',
    ],
    `${E}/${I6},tc=0xb8,fl=0x12345,hlim=9)/UDP(sport=1,dport=2)/b'six'`,
  ],
  ['tcp6', [ethernet(macs), ip6(v6), tcp({ sport: 9, dport: 8, window: 8192 })], `${E}/${I6})/TCP(sport=9,dport=8)`],
  [
    'icmp6 echo',
    [ethernet(macs), ip6(v6), icmp6({ type: 128, id: 5, sequence: 6 }), 'd'],
    `${E}/${I6})/ICMPv6EchoRequest(id=5,seq=6,data=b'd')`,
  ],
  [
    'extension headers',
    [
      ethernet(macs),
      ip6({
        ...v6,
        extensions: [
          { type: P.PROTOCOL_HOP_BY_HOP, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) },
          P.fragmentExtension(99, 0, true),
        ],
      }),
      udp({ sport: 1, dport: 2, checksum: 0xabcd }),
      'first',
    ],
    `${E}/${I6})/IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])/IPv6ExtHdrFragment(id=99,offset=0,m=1)/UDP(sport=1,dport=2,chksum=0xabcd)/b'first'`,
  ],
  [
    'gre4',
    [
      ethernet(macs),
      ip4({ ...v4, ttl: 128 }),
      gre(),
      ip4({ src: '1.1.1.1', dst: '2.2.2.2' }),
      udp({ sport: 3, dport: 4 }),
      'in',
    ],
    `${E}/${I4},ttl=128)/GRE()/IP(src='1.1.1.1',dst='2.2.2.2')/UDP(sport=3,dport=4)/b'in'`,
  ],
  [
    'gre with all',
    [ethernet(macs), ip4(v4), gre({ key: 5, sequence: 6, checksummed: true }), ip6(v6), 'in'],
    `${E}/${I4})/GRE(key_present=1,key=5,seqnum_present=1,sequence_number=6,chksum_present=1)/${I6},nh=59)/b'in'`,
  ],
  [
    'arp',
    [
      ethernet(macs),
      arp({ operation: 2, senderMac: macs.src, senderIp: v4.src, targetMac: macs.dst, targetIp: v4.dst }),
    ],
    `${E}/ARP(op=2,hwsrc='${macs.src}',psrc='${v4.src}',hwdst='${macs.dst}',pdst='${v4.dst}')`,
  ],
];

describe('packet() and scapy build the same bytes', () => {
  // scapy's IPv4 identification is 1 unless told
  const built = scapy<string[]>(
    `def build(code):
    p = eval(code)
    layer = p
    while layer:
        if isinstance(layer, IP) and 'id' not in layer.fields: layer.id = 0
        layer = layer.payload
    return bytes(p).hex()
out = [build(code) for code in input]`,
    SAME.map(([, , code]) => code),
  );
  it.each(SAME.map(([name, parts], i) => [name, parts, built[i]!] as const))('%s', (_name, parts, expected) => {
    expect(hex(packet(...parts))).toBe(expected);
  });
  it.each(SAME.map(([name, parts], i) => [name, parts, built[i]!] as const))(
    '%s: scapy’s parses as what we asked for',
    (_name, parts, bytes) => {
      expect(() => expectPacket(unhex(bytes), ...parts.map(withoutOptions))).not.toThrow();
    },
  );
});

/** Padding of options is part of them on the wire. */
function withoutOptions(part: Part): Part {
  if (typeof part === 'string' || part instanceof Uint8Array) return part;
  const { options: _, ...fields } = part.fields as { options?: Uint8Array };
  return { ...part, fields };
}

describe('what packet() builds', () => {
  it('parses in scapy with the same fields and checksums', () => {
    const out = scapy<Record<string, unknown>>(
      `p = Ether(bytes.fromhex(input)); q = p.copy(); del q[IP].chksum; del q[TCP].chksum; q = Ether(bytes(q))
out = dict(src=p[IP].src, dport=p[TCP].dport, flags=str(p[TCP].flags), ip=p[IP].chksum == q[IP].chksum, tcp=p[TCP].chksum == q[TCP].chksum)`,
      hex(packet(ethernet(macs), ip4(v4), tcp({ dport: 443, flags: 'PA' }), 'some data')),
    );
    expect(out).toEqual({ src: v4.src, dport: 443, flags: 'PA', ip: true, tcp: true });
  });

  it.each(SAME)('%s: writes every byte, whatever the buffer held', (_name, parts) => {
    const clean = packet(...parts);
    const dirty = new Uint8Array(clean.length + 40).fill(0xa5);
    expect(packetInto(dirty, ...parts)).toBe(clean.length);
    expect(hex(dirty.subarray(0, clean.length))).toBe(hex(clean));
    expect(dirty.subarray(clean.length).every((byte) => byte === 0xa5)).toBe(true);
  });

  it('sends a UDP checksum that computes to 0 as 0xffff', () => {
    const zero = packet(ip4(v4), udp({ sport: 0, dport: 0, checksum: 0 }), Uint8Array.of(0, 0));
    const missing = P.checksum(zero.subarray(20), P.pseudoHeader(zero.subarray(12, 16), zero.subarray(16, 20), 17, 10));
    const bytes = packet(ip4(v4), udp(), Uint8Array.of(missing >> 8, missing));
    expectPacket(bytes, ip4(v4), udp({ checksum: 0xffff }));
  });

  it('refuses fields that do not fit, and says what is allowed', () => {
    expect(() => packet(ip4(v4), udp({ dport: 70000 }))).toThrow('udp: dport 70000 must be an integer from 0 to 65535');
    expect(() => packet(ip4({ src: '::1' }))).toThrow('must be an IPv4 address');
    expect(() => packet(ip4({ fragmentOffset: 4 }))).toThrow('multiple of 8');
    expect(() => packet(tcp({ flags: 'X' }))).toThrow('FSRPAUEC');
    expect(() => packetInto(new Uint8Array(10), ip4(v4))).toThrow('does not fit');
  });
});

describe('parsing hostile input', () => {
  it.each(SAME)(
    '%s: cut at every length it is described or refused with a typed error, and nothing outside is read',
    (_n, parts) => {
      const whole = packet(...parts);
      for (let length = 0; length < whole.length; length++) {
        const seen: number[] = [];
        const cut = new Proxy(whole.slice(0, length), {
          get(target, key) {
            if (typeof key === 'string' && /^[0-9]+$/.test(key) && Number(key) >= length) seen.push(Number(key));
            const value = Reflect.get(target, key, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        expect(typeof P.describe(cut)).toBe('string');
        try {
          P.dissect(cut);
        } catch (error) {
          expect(error).toBeInstanceOf(P.PacketError);
        }
        expect(seen).toEqual([]);
      }
    },
  );

  it.each([
    ['ip4 version', ip4, [0x65], 'version is 6'],
    ['ip4 header length', ip4, [0x44], 'header of 16 bytes'],
    ['ip4 total length', ip4, [0x45, 0, 0, 19], 'total length 19'],
    ['ip4 longer than the frame', ip4, [0x45, 0, 0, 61], 'packet needs 61 bytes, 60 are there'],
    ['ip6 version', ip6, [0x45], 'version is 4'],
    ['tcp data offset', tcp, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40], 'header of 16 bytes'],
    ['udp length', udp, [0, 0, 0, 0, 0, 7], 'length 7'],
    ['gre version', gre, [0, 1], 'version is 1'],
    ['gre routing', gre, [0x40, 0], 'source routing'],
  ] as const)('%s', (_name, protocol, start, message) => {
    const bytes = new Uint8Array(60);
    bytes.set(start);
    expect(() => (protocol as { parse(bytes: Uint8Array): unknown }).parse(bytes)).toThrow(message);
  });

  it('bounds the walk over extension headers', () => {
    const pad = { type: P.PROTOCOL_DESTINATION_OPTIONS, data: Uint8Array.of(0, 1, 4, 0, 0, 0, 0) };
    const eight = packet(ip6({ ...v6, extensions: Array(8).fill(pad) }), udp({ dport: 5 }));
    expectPacket(eight, ip6({ protocol: 17 }), udp({ dport: 5 }));
    const nine = packet(ip6({ ...v6, extensions: Array(9).fill(pad) }), udp({ dport: 5 }));
    expect(() => ip6.parse(nine)).toThrow('more than 8 extension headers');
    const long = packet(ip6({ ...v6, extensions: [{ ...pad, data: Uint8Array.of(200, 1, 4, 0, 0, 0, 0) }] }), udp());
    expect(() => ip6.parse(long)).toThrow(P.PacketError);
  });

  it('does not look for ports in a later fragment', () => {
    const bytes = packet(ip6({ ...v6, extensions: [P.fragmentExtension(1, 8, false)], protocol: 17 }), 'portsarehere');
    expect(P.dissect(bytes, ip6)).toHaveLength(1);
  });
});

describe('expectPacket', () => {
  const bytes = packet(ip4(v4), udp({ sport: 1, dport: 2 }), 'hi');
  it('says what differs', () => {
    expect(() => expectPacket(bytes, ip4({ ttl: 63 }))).toThrow('ip4.ttl is 64, expected 63');
    expect(() => expectPacket(bytes, ip4(), tcp())).toThrow('layer 1 is udp, expected tcp');
    expect(() => expectPacket(bytes, ip4(), udp(), 'ho')).toThrow('payload is');
    expect(() => expectPacket(packet(ip6(v6)), ip6({ src: '2001:0DB8:0::1' }))).not.toThrow();
  });
  it('checks checksums unless told which', () => {
    const damaged = bytes.slice();
    damaged[29]! ^= 1;
    expect(() => expectPacket(damaged, ip4(), udp())).toThrow('udp has a bad checksum');
    expect(() => expectPacket(packet(ip4({ ...v4, checksum: 1 })), ip4({ checksum: 1 }))).not.toThrow();
  });
});

describe('describe', () => {
  it('puts a packet on one line', () => {
    const bytes = packet(ethernet(macs), ip4({ ...v4, df: true }), tcp({ sport: 5, dport: 80 }), 'GET');
    expect(P.describe(bytes)).toBe(
      'ethernet 02:00:00:00:00:01 > 02:00:00:00:00:02 ip4 / ip4 10.0.0.1 > 192.168.255.254 tcp ttl 64 length 43 df / tcp 5 > 80 S seq 0 ack 0 / 3 bytes',
    );
    expect(P.describe(bytes.subarray(0, 40))).toContain('(ip4: packet needs 43 bytes, 26 are there)');
  });
});
