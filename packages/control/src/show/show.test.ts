import { describe, expect, it } from 'vitest';
import { runCommand } from '../cli/cli.ts';
import { fakeLbd, fakeVip } from '../testing/fake-lbd.ts';
import { formatVips } from './lb.ts';
import { formatNodes } from './node.ts';

const text = async (line: string) => (await runCommand(fakeLbd(), line)).text;

describe('what commands print', () => {
  it('show lb', async () => {
    expect(await text('show lb')).toBe(
      `lb_main
 ip4-src-address: 10.0.0.1
 ip6-src-address: not set
 flow-hash: crc32c
 fragment: true
 #vips: 1
 #ass: 2
core 0
  timeout: 40s
  usage: 3 / 4096
nat4 sessions: 6 / 65536`,
    );
  });
  it('show lb encaps', async () => {
    expect(await text('show lb encaps')).toBe(
      `Encap  VIPs     ASs  Overhead  Package         Summary
gre4   ip4 ip6  ip4        24  @lbd/encap-gre  GRE over IPv4
options of gre4:
  dscp: zero  (zero or copy)  DSCP of outer headers.`,
    );
  });
  it('show lb vips', async () => {
    const line =
      'ip4-nat4 10.10.2.2/32 new_size:1024 #as:2 protocol:tcp port:8080 type:clusterip port:8080 target_port:80';
    expect(await text('show lb vips')).toBe(line);
    expect(await text('show lb vip')).toBe(line);
    const { protocol: _, port: __, targetPort: ___, ...l3dsr } = { ...fakeVip, encap: 'l3dsr', dscp: 7 };
    expect(formatVips([l3dsr], false)).toBe('ip4-l3dsr 10.10.2.2/32 new_size:1024 #as:2 dscp:7');
  });
  it('show lb vips verbose', async () => {
    expect(await text('show lb vips verbose')).toBe(
      `ip4-nat4 [1] 10.10.2.2/32
  new_size:1024
  protocol:tcp port:8080
  type:clusterip port:8080 target_port:80
  counters:
    packet from existing sessions: 5
    first session packet: 2
    untracked packet: 0
    no server configured: 0
  #as:2
    192.168.1.1 weight 100 512 buckets   1 flows  dpo:adjacency4 0 used
    192.168.1.2 weight 100 512 buckets   1 flows  dpo:adjacency4 1 removed`,
    );
  });
  it('shows what an encap has to say of a VIP', () => {
    const text = formatVips([{ ...fakeVip, note: 'DSCP 7 is its name' }], true);
    expect(text).toContain('\n  DSCP 7 is its name\n  counters:');
  });
  it('show runtime leaves out nodes that did not run', async () => {
    expect(await text('show runtime')).toBe(
      `worker 0: 2.0 s, 10 breaths, 1 sleeps, buffers 100 free of 128
pauses: longest 0.250 ms; below 2 us 6, below 4 us 3, below 256 us 1
Name        State   Calls  Packets  Packets/Call  ns/Packet
ip4-lookup  active      4       10           2.5       12.5`,
    );
  });
  it('show errors leaves out zeros unless verbose', async () => {
    expect(await text('show errors')).toBe(
      `Count  Node       Reason        Meaning
    7  ip4-input  bad checksum  the header checksum is wrong`,
    );
    expect(await text('show errors verbose')).toContain('bad version');
  });
  it('show interface', async () => {
    expect(await text('show interface')).toBe(
      `lan0 (0): up, af_xdp native, 1 queue, mtu 1500, mac 02:00:00:00:00:01
  addresses: 10.0.0.1/24
  features: nat4 in
  rx packets 1, bytes 60, drops 0
  tx packets 2, bytes 120, drops 3`,
    );
  });
  it('show node', async () => {
    expect(await text('show node')).toContain('ip4-lookup  internal  kernel  drop ip4-rewrite');
    expect(await text('show node ip4-lookup')).toContain('    [1] ip4-rewrite');
    const { dataplane } = fakeLbd();
    const [node] = await dataplane.nodes();
    expect(formatNodes([{ ...node!, disabled: 2 }], false)).toContain('ip4-lookup  disabled  kernel');
    expect(formatNodes([{ ...node!, disabled: 2 }], true)).toContain('disabled in 2 workers');
    await expect(text('show node frob')).rejects.toMatchObject({ code: 'LBD_NO_SUCH_NODE' });
  });
  it('show ip fib, show ip6 fib', async () => {
    expect(await text('show ip fib')).toBe('10.0.0.0/24\n  via 10.0.0.2 lan0\n  dpo adjacency4 1');
    expect(await text('show ip6 fib')).toContain('2001:db8::/64');
  });
  it('show trace, show memory, show version', async () => {
    expect(await text('show trace')).toBe('Packet 1, worker 0, 1.500 s\nip4-input\n  10.0.0.9 -> 10.1.1.1');
    expect(await text('show memory')).toContain('1024 bytes, 512 handed out');
    expect(await text('show version')).toBe('lbd 1.2.3, Node.js v20.20.2, 1 worker, up 61 s');
  });
});
