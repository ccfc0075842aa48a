import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';
import { configJsonSchema } from './schema.ts';

const interfaces = 'interfaces: [{name: lan0, driver: af_xdp}]\n';

function refusal(text: string): string {
  try {
    parseConfig(text, 'lbd.yaml');
  } catch (error) {
    expect(error).toMatchObject({ code: 'LBD_CONFIG_INVALID' });
    return (error as Error).message;
  }
  throw new Error('it was taken');
}

describe('the configuration file', () => {
  it('fills in defaults', () => {
    expect(parseConfig(interfaces)).toEqual({
      interfaces: [{ name: 'lan0', driver: 'af_xdp', mode: 'auto' }],
      workers: 1,
      memory: 2 ** 30,
      buffers: 16384,
      control: { socket: '/run/lbd/lbd.sock' },
      log: { level: 'info' },
      metrics: { enabled: true },
      lb: {},
      vips: [],
      nat: { interfaces: [], options: { sessions: 2 ** 19, timeouts: {} } },
      encaps: {},
      commands: [],
      plugins: [],
      static: { interfaces: [], neighbours: [], routes: [] },
    });
  });

  it('takes everything', () => {
    const config = parseConfig(`
interfaces:
  - { name: lan0, driver: af_packet, queues: 2 }
  - { name: in0, driver: pcap, in: a.pcap, out: b.pcap }
workers: 2
memory: 512MiB
lb: { ip4-src-address: 10.0.0.1, buckets: 4096, timeout: 30, flow-hash: keyed, fragment: false }
vips:
  - prefix: 10.10.2.9/24
    protocol: tcp
    port: 8080
    encap: nat4
    type: nodeport
    target_port: 80
    node_port: 30080
    new_len: 4096
    src_ip_sticky: true
    as: [{ address: 192.168.1.1 }, { address: 192.168.1.2, weight: 0 }]
nat: { nat4: [lan0], sessions: 1000, timeouts: { udp: 30, tcp_closed: 5 } }
encaps: { gre4: { dscp: copy }, my-encap: { list: [1, 2] } }
commands:
  - lb vip 10.0.0.0/8
static:
  interfaces: [{ name: in0, mac: '02:00:00:00:00:0A', addresses: [10.0.0.1/24] }]
  neighbours: [{ address: 10.0.0.2, interface: in0, mac: '02:00:00:00:00:02' }]
  routes: [{ prefix: 0.0.0.0/0, via: 10.0.0.2, interface: in0 }]
`);
    expect(config).toMatchObject({
      memory: 2 ** 29,
      lb: { ip4SrcAddress: '10.0.0.1', buckets: 4096, timeout: 30, flowHash: 'keyed', fragment: false },
      nat: {
        interfaces: [{ family: 4, interface: 'lan0', enable: true }],
        options: { sessions: 1000, timeouts: { udp: 30, tcpClosed: 5 } },
      },
      encaps: { gre4: { dscp: 'copy' }, 'my-encap': { list: [1, 2] } },
      static: { interfaces: [{ mac: '02:00:00:00:00:0a', mtu: 1500, addresses: ['10.0.0.1/24'] }] },
    });
    expect(config.vips).toEqual([
      {
        vip: {
          prefix: '10.10.2.0/24',
          protocol: 'tcp',
          port: 8080,
          encap: 'nat4',
          type: 'nodeport',
          targetPort: 80,
          nodePort: 30080,
          newLen: 4096,
          srcIpSticky: true,
        },
        servers: [
          { address: '192.168.1.1', weight: 100 },
          { address: '192.168.1.2', weight: 0 },
        ],
      },
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['an unknown key', `${interfaces}frob: 1`, /unknown key "frob": allowed are interfaces, workers/],
    [
      'an unknown key of a VIP',
      `${interfaces}vips: [{prefix: 10.0.0.0/8, prot: tcp}]`,
      /^lbd.yaml:2:8: vips\[0\]: unknown key "prot"/,
    ],
    ['no interface', 'workers: 1', /interfaces: is missing/],
    ['no interfaces', 'interfaces: []', /at least one/],
    [
      'an unknown driver',
      'interfaces: [{name: a, driver: dpdk}]',
      /driver: must have a driver: af_xdp, af_packet or pcap/,
    ],
    ['an interface twice', 'interfaces: [{name: a, driver: af_xdp}, {name: a, driver: af_xdp}]', /"a" is given twice/],
    [
      'a wrong mode',
      'interfaces: [{name: a, driver: af_xdp, mode: fast}]',
      /mode: "fast" .* auto or native or generic/,
    ],
    [
      'a port out of range',
      `${interfaces}vips:\n  - prefix: 10.0.0.0/8\n    protocol: tcp\n    port: 70000`,
      /^lbd.yaml:5:11: vips\[0\].port: 70000 .* 1 to 65535/,
    ],
    [
      'a wrong family',
      `${interfaces}vips: [{prefix: '2001::/16', protocol: tcp, port: 1, target_port: 1, encap: nat4}]`,
      /vips\[0\].encap: nat4 is not allowed/,
    ],
    [
      'no target_port',
      `${interfaces}vips: [{prefix: 10.0.0.0/8, protocol: tcp, port: 1, encap: nat4}]`,
      /vips\[0\].target_port: is missing/,
    ],
    [
      'a length that is no power of two',
      `${interfaces}vips: [{prefix: 10.0.0.0/8, new_len: 1000}]`,
      /new_len: 1000 .* power of two/,
    ],
    [
      'a VIP twice',
      `${interfaces}vips: [{prefix: 10.0.0.0/8}, {prefix: 10.1.0.0/8}]`,
      /vips\[1\]: the VIP 10.0.0.0\/8 is given twice/,
    ],
    [
      'an AS twice',
      `${interfaces}vips: [{prefix: 10.0.0.0/8, as: [{address: 1.2.3.4}, {address: 1.2.3.4}]}]`,
      /as\[1\].address: 1.2.3.4 is given twice/,
    ],
    [
      'a NAT interface that is not there',
      `${interfaces}nat: {nat4: [wan0]}`,
      /nat.nat4\[0\]: there is no interface "wan0": interfaces has lan0/,
    ],
    [
      'options of an encap that are none',
      `${interfaces}encaps: {gre4: 7}`,
      /^lbd.yaml:2:16: encaps.gre4: must be a mapping/,
    ],
    [
      'a name that is none of an encap',
      `${interfaces}encaps: {Gre 4: {}}`,
      /encaps.Gre 4: is not allowed: must be the name of an encap/,
    ],
    ['options of NAT elsewhere', `${interfaces}encaps: {nat4: {sessions: 1}}`, /encaps.nat4: .* in the section nat/],
    ['a wrong command', `${interfaces}commands: [lb vip frob]`, /commands\[0\]: "lb vip frob": unknown word "frob"/],
    ['a wrong size', `${interfaces}memory: 1GB`, /memory: "1GB" .* such as 256MiB/],
    ['too little memory', `${interfaces}memory: 1MiB`, /memory: .* from 64MiB/],
    ['too many workers', `${interfaces}workers: 1000`, /workers: 1000 .* 1 to 64/],
    ['a word for a number', `${interfaces}workers: two`, /workers: "two" is not allowed/],
    ['broken YAML', 'interfaces: [', /^lbd.yaml:1:14: unexpected end/],
    ['an open bracket', 'interfaces: [\n', /^lbd.yaml:2:1: deficient indentation: a bracket or quote is not closed/],
    ['a key twice', `${interfaces}workers: 1\nworkers: 2`, /^lbd.yaml:3:1: duplicated mapping key$/],
    ['two documents', `${interfaces}---\nworkers: 2`, /^lbd.yaml:3:1: more than one document$/],
    ['a key __proto__', `${interfaces}__proto__: {workers: 2}`, /^lbd.yaml: unknown key "__proto__"/],
    [
      'a bomb of aliases',
      `${interfaces}encaps:\n  x: &a [${'1, '.repeat(10)}]\n${'bcdefghi'
        .split('')
        .map((name, i) => `  y${i}: &${name} [${`*${String.fromCharCode(name.charCodeAt(0) - 1)}, `.repeat(10)}]\n`)
        .join('')}`,
      /^lbd.yaml:\d+:\d+: aliases repeat more than 4000000 values$/,
    ],
    ['a socket path that is too long', `${interfaces}control: {socket: /${'x'.repeat(120)}}`, /at most 107 bytes/],
    ['a list instead of a mapping', '- a', /must be a mapping/],
  ])('refuses %s', (_, text, message) => expect(refusal(text)).toMatch(message));

  it('names the lines and columns of mistakes in a file of any size', () => {
    const vips = (i: number) =>
      ` - {prefix: 10.${i >> 8}.${i & 255}.0/24, as: [{address: 1.2.3.4}, {address: ${i === 700 ? '1.2.3' : '1.2.3.5'}}]}`;
    const text = `${interfaces}vips:\n${Array.from({ length: 1000 }, (_, i) => vips(i)).join('\n')}\nworkers: 0\n`;
    const expected = [
      /^lbd.yaml:703:63: vips\[700\].as\[1\].address: "1.2.3" is not allowed/,
      /^lbd.yaml:1003:10: workers: 0 is/,
    ];
    const messages = refusal(text).split('\n');
    expect(messages).toHaveLength(2);
    for (const message of messages) expect(expected.some((pattern) => pattern.test(message))).toBe(true);
  });

  it('names every mistake at once', () => {
    expect(refusal('interfaces: [{name: a, driver: af_xdp}]\nworkers: 0\nbuffers: 3').split('\n')).toHaveLength(2);
  });

  it('has its JSON schema published', () => {
    const published = JSON.parse(readFileSync(new URL('../../dist/lbd.schema.json', import.meta.url), 'utf8'));
    expect(published).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  });
});
