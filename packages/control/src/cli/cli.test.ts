import { describe, expect, it } from 'vitest';
import { fakeLbd } from '../testing/fake-lbd.ts';
import { commands, completions, runCommand } from './cli.ts';

/** What reached the model. */
async function told(line: string): Promise<unknown[][]> {
  const calls: unknown[][] = [];
  await runCommand(fakeLbd(calls), line);
  return calls;
}

async function refused(line: string): Promise<string> {
  const calls: unknown[][] = [];
  const error = await runCommand(fakeLbd(calls), line).then(
    () => undefined,
    (error: { code: string; message: string }) => error,
  );
  expect(error, `"${line}" was taken`).toBeDefined();
  expect(error!.code).toMatch(/^LBD_(SYNTAX|INVALID_VALUE)$/);
  expect(calls, 'nothing may change').toEqual([]);
  return error!.message;
}

const vip = { prefix: '90.0.0.0/8', encap: 'gre4', type: 'clusterip', newLen: 1024, srcIpSticky: false };
const web = { prefix: '10.10.2.2/32', protocol: 'tcp', port: 8080 };

describe('commands of VPP as its documentation writes them', () => {
  it.each<[string, unknown[][]]>([
    [
      'lb conf ip4-src-address 1.2.3.4 ip6-src-address 2001:DB8::0:1 buckets 2048 timeout 30',
      [['lbConf', { ip4SrcAddress: '1.2.3.4', ip6SrcAddress: '2001:db8::1', buckets: 2048, timeout: 30 }]],
    ],
    ['lb conf buckets-log2 10', [['lbConf', { buckets: 1024 }]]],
    ['lb conf flow-hash keyed', [['lbConf', { flowHash: 'keyed' }]]],
    ['lb vip 90.0.0.0/8', [['addVip', vip]]],
    ['lb vip 90.1.2.3/8 encap gre4', [['addVip', vip]]],
    [
      'lb vip 2002::/16 encap gre6 new_len 512',
      [['addVip', { ...vip, prefix: '2002::/16', encap: 'gre6', newLen: 512 }]],
    ],
    ['lb vip 90.0.0.0/8 encap l3dsr dscp 7', [['addVip', { ...vip, encap: 'l3dsr', dscp: 7 }]]],
    ['lb vip 90.0.0.0/8 src_ip_sticky', [['addVip', { ...vip, srcIpSticky: true }]]],
    [
      'lb vip 10.10.2.2/32 protocol tcp port 8080 encap nat4 type clusterip target_port 80',
      [['addVip', { ...vip, ...web, encap: 'nat4', targetPort: 80 }]],
    ],
    [
      'lb vip 10.10.2.2/32 target_port 80 encap nat4 port 8080 protocol tcp',
      [['addVip', { ...vip, ...web, encap: 'nat4', targetPort: 80 }]],
    ],
    [
      'lb vip 10.10.2.2/32 protocol tcp port 8080 encap nat4 type nodeport target_port 80 node_port 30080',
      [['addVip', { ...vip, ...web, encap: 'nat4', targetPort: 80, type: 'nodeport', nodePort: 30080 }]],
    ],
    [
      'lb vip 10.10.2.2/32 protocol tcp port 8080 encap nat4 type nodeport target_port 80',
      [['addVip', { ...vip, ...web, encap: 'nat4', targetPort: 80, type: 'nodeport', nodePort: 8080 }]],
    ],
    ['lb vip 90.0.0.0/8 del', [['deleteVip', { prefix: '90.0.0.0/8' }]]],
    ['lb vip 10.10.2.2/32 protocol tcp port 8080 del', [['deleteVip', web]]],
    [
      'lb as 90.0.0.0/8 10.0.0.1 10.0.0.2',
      [['addServers', { vip: { prefix: '90.0.0.0/8' }, addresses: ['10.0.0.1', '10.0.0.2'], flush: false }]],
    ],
    [
      'lb as 10.10.2.2/32 protocol tcp port 8080 192.168.1.1 weight 0 flush',
      [['addServers', { vip: web, addresses: ['192.168.1.1'], weight: 0, flush: true }]],
    ],
    [
      'lb as 2002::/16 2001::2 2001::3 del',
      [['deleteServers', { vip: { prefix: '2002::/16' }, addresses: ['2001::2', '2001::3'], flush: false }]],
    ],
    [
      'lb as 90.0.0.0/8 10.0.0.1 del flush',
      [['deleteServers', { vip: { prefix: '90.0.0.0/8' }, addresses: ['10.0.0.1'], flush: true }]],
    ],
    ['lb flush vip 10.10.2.2/32 port 8080 protocol tcp', [['flushVip', web]]],
    ['lb set interface nat4 in eth0', [['setNatInterface', { family: 4, interface: 'eth0', enable: true }]]],
    ['lb set interface nat6 in eth0 del', [['setNatInterface', { family: 6, interface: 'eth0', enable: false }]]],
    ['test lb flowtable flush', [['flushFlowTable']]],
    ['trace add 10', [['traceAdd', 10]]],
    ['clear trace', [['clearTrace']]],
    ['clear runtime', [['clearRuntime']]],
    ['clear errors', [['clearErrors']]],
    ['', []],
    ['  # only a comment', []],
    ['cl tr  # shortened', [['clearTrace']]],
  ])('%s', async (line, calls) => expect(await told(line)).toEqual(calls));
});

describe('what is refused, and what the message says', () => {
  it.each<[string, RegExp]>([
    ['lb vip 90.0.0.0/8 protocol tcp port 70000', /port 70000 .* from 1 to 65535/],
    ['lb vip 90.0.0.0/8 protocol tcp port 0', /port 0 .* from 1 to 65535/],
    ['lb vip 90.0.0.0/8 port 80', /protocol is missing/],
    ['lb vip 90.0.0.0/8 protocol tcp', /port is missing/],
    ['lb vip 90.0.0.0/8 protocol sctp port 80', /protocol "sctp" .* tcp or udp/],
    ['lb vip 90.0.0.0/33', /prefix "90.0.0.0\/33" .* IPv4 or IPv6 prefix/],
    ['lb vip 90.0.0.0', /prefix "90.0.0.0" .* 10.0.0.0\/8/],
    ['lb vip 90.0.0.0/8/8', /prefix/],
    ['lb vip', /prefix is missing/],
    ['lb vip 90.0.0.0/8 91.0.0.0/8', /unknown word "91.0.0.0\/8"/],
    ['lb vip 90.0.0.0/8 encap nat6 protocol tcp port 1 target_port 1', /nat6 .* IPv4 VIP .* gre4, gre6, l3dsr, nat4/],
    ['lb vip 2002::/16 encap nat4 protocol tcp port 1 target_port 1', /nat4 .* IPv6 VIP .* gre4, gre6, nat6/],
    ['lb vip 2002::/16 encap l3dsr dscp 1', /l3dsr .* IPv6 VIP/],
    ['lb vip 90.0.0.0/8 encap l3dsr', /dscp is missing/],
    ['lb vip 90.0.0.0/8 encap l3dsr dscp 64', /dscp 64 .* 0 to 63/],
    ['lb vip 90.0.0.0/8 dscp 1', /dscp .* l3dsr/],
    ['lb vip 90.0.0.0/8 encap nat4', /port is missing: nat4 .*; target_port is missing/],
    ['lb vip 90.0.0.0/8 target_port 1', /target_port .* nat4 and nat6/],
    ['lb vip 90.0.0.0/8 type nodeport', /type nodeport .* nat4 and nat6/],
    ['lb vip 10.0.0.1/32 encap nat4 protocol udp port 1 target_port 1 node_port 3', /node_port .* type nodeport/],
    ['lb vip 90.0.0.0/8 new_len 0', /new_len 0 .* power of two/],
    ['lb vip 90.0.0.0/8 new_len 1000', /new_len 1000 .* power of two/],
    ['lb vip 90.0.0.0/8 new_len x', /new_len "x" is not a number/],
    ['lb vip 90.0.0.0/8 new_len', /new_len needs a number/],
    ['lb vip 90.0.0.0/8 new_len 8 new_len 8', /new_len is given twice/],
    ['lb vip 90.0.0.0/8 frob', /unknown word "frob": allowed here are protocol/],
    ['lb vip 90.0.0.0/8 constructor', /unknown word "constructor"/],
    ['lb as 90.0.0.0/8', /at least one AS address/],
    ['lb as 90.0.0.0/8 10.0.0.256', /address "10.0.0.256"/],
    ['lb as 90.0.0.0/8 10.0.0.1 10.0.0.1', /10.0.0.1 is given twice/],
    ['lb as 90.0.0.0/8 10.0.0.1 2001::1', /mixes IPv4 and IPv6/],
    ['lb as 90.0.0.0/8 224.0.0.1', /no multicast/],
    ['lb as 90.0.0.0/8 0.0.0.0', /address "0.0.0.0"/],
    ['lb as 90.0.0.0/8 255.255.255.255', /address/],
    ['lb as 90.0.0.0/8 10.0.0.1 weight 101', /weight 101 .* 0 to 100/],
    ['lb as 90.0.0.0/8 10.0.0.1 weight -1', /weight -1 .* 0 to 100/],
    ['lb as 90.0.0.0/8 10.0.0.1 weight 5 del', /weight and del exclude each other/],
    ['lb conf', /nothing to change/],
    ['lb conf buckets 0', /buckets 0 .* power of two/],
    ['lb conf buckets 67108864', /buckets 67108864 .* at most|from 1 to/],
    ['lb conf buckets 1000', /power of two/],
    ['lb conf buckets-log2 25', /0 to 24/],
    ['lb conf buckets 1 buckets-log2 0', /exclude each other/],
    ['lb conf timeout 0', /timeout 0/],
    ['lb conf ip4-src-address 2001::1', /ip4-src-address "2001::1" .* IPv4 address/],
    ['lb conf ip6-src-address 1.2.3.4', /ip6-src-address "1.2.3.4" .* IPv6 address/],
    ['lb set interface nat4 out eth0', /expected "in"/],
    ['lb set interface nat4 in', /interface is missing/],
    ['lb set interface nat4 in averylonginterfacename', /up to 15 characters/],
    ['lb set interface nat5 in eth0', /unknown word "nat5" after "lb set interface": allowed are nat4, nat6/],
    ['show', /not complete after "show"/],
    ['show frob', /unknown word "frob" after "show"/],
    ['show i', /ambiguous word "i" after "show": may mean interface, ip, ip6/],
    ['show lb vips verbos', /unknown word "verbos"/],
    ['frob', /unknown word "frob": allowed are/],
    ['trace add 0', /1 to 1000/],
    ['trace add many', /not a number/],
    ['help frob', /no command begins/],
  ])('%s', async (line, message) => expect(await refused(line)).toMatch(message));
});

describe('the command table', () => {
  it('has help for everything', async () => {
    const { text } = await runCommand(fakeLbd(), 'help');
    for (const { words, help } of commands) {
      expect(text).toContain(words);
      expect(help).not.toBe('');
    }
  });
  it('completes words', () => {
    expect(completions('show l')).toEqual(['lb']);
    expect(completions('show lb ')).toEqual(['encaps', 'vips']);
    expect(completions('lb set interface ')).toEqual(['nat4', 'nat6']);
    expect(completions('')).toEqual(['clear', 'help', 'lb', 'show', 'test', 'trace']);
  });
});
