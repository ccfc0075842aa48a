import { type Lbd, parseConfig } from '@lbd/control';
import { expect, it } from 'vitest';
import { difference, needRestart } from './reload.ts';

const head = 'interfaces: [{name: a, driver: pcap}, {name: b, driver: pcap}]\n';
const web = 'prefix: 10.0.0.1/32, protocol: tcp, port: 80, encap: nat4, target_port: 80';

/** What a reload tells the model. */
function told(before: string, now: string): unknown[][] {
  const calls: unknown[][] = [];
  const model = new Proxy({}, { get: (_, name) => (argument: unknown) => void calls.push([name, argument]) });
  for (const { run } of difference(parseConfig(head + before), parseConfig(head + now))) {
    run({ lb: model, dataplane: model } as unknown as Lbd);
  }
  return calls;
}

const vip = { prefix: '10.0.0.1/32', protocol: 'tcp', port: 80 };

it('touches nothing that is the same', () => {
  const text = `lb: {timeout: 30}\nvips: [{${web}, as: [{address: 1.2.3.4}]}]\nnat: {nat4: [a]}\ncommands: [show lb]`;
  expect(told(text, text)).toEqual([]);
});

it('changes servers in place, so that the flows of the others go on', () => {
  const before = `vips: [{${web}, as: [{address: 1.2.3.1}, {address: 1.2.3.2}, {address: 1.2.3.3}]}]`;
  const now = `vips: [{${web}, as: [{address: 1.2.3.1}, {address: 1.2.3.2, weight: 5}, {address: 1.2.3.4}]}]`;
  expect(told(before, now)).toEqual([
    ['deleteServers', { vip, addresses: ['1.2.3.3'], flush: false }],
    ['addServers', { vip, addresses: ['1.2.3.2'], weight: 5, flush: false }],
    ['addServers', { vip, addresses: ['1.2.3.4'], weight: 100, flush: false }],
  ]);
});

it('makes a VIP anew if it is another one now, and deletes what is gone', () => {
  const before = `vips: [{${web}, as: [{address: 1.2.3.1}]}, {prefix: 10.0.0.2/32}]`;
  const now = `vips: [{${web}, new_len: 8, as: [{address: 1.2.3.1}]}]`;
  expect(told(before, now)).toEqual([
    ['deleteVip', vip],
    ['deleteVip', { prefix: '10.0.0.2/32' }],
    ['addVip', expect.objectContaining({ ...vip, newLen: 8 })],
    ['addServers', { vip, addresses: ['1.2.3.1'], weight: 100, flush: false }],
  ]);
});

it('changes settings, NAT interfaces and new commands', () => {
  const before = 'nat: {nat4: [a]}\ncommands: [lb conf timeout 30]';
  const now = 'lb: {timeout: 50}\nnat: {nat4: [b]}\ncommands: [lb conf timeout 30, test lb flowtable flush]';
  expect(told(before, now)).toEqual([
    ['lbConf', { timeout: 50 }],
    ['setNatInterface', { family: 4, interface: 'a', enable: false }],
    ['setNatInterface', { family: 4, interface: 'b', enable: true }],
    ['flushFlowTable', undefined],
  ]);
});

it('names what needs a restart', () => {
  const config = (text: string) => parseConfig(head + text);
  expect(needRestart(config('workers: 1'), config('workers: 2\nnat: {sessions: 5}'))).toEqual([
    'workers',
    'nat.sessions or nat.timeouts',
  ]);
});
