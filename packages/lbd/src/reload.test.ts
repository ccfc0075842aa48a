import { ControlError, type Lbd, parseConfig } from '@lbd/control';
import { describe, expect, it } from 'vitest';
import { difference, forgetCommands, inForce, needRestart } from './reload.ts';

const head = 'interfaces: [{name: a, driver: pcap}, {name: b, driver: pcap}]\n';
const web = 'prefix: 10.0.0.1/32, protocol: tcp, port: 80, encap: nat4, target_port: 80';

const parse = (text: string) => parseConfig(head + text);

/** Reloads one after the other, and what they tell the model. */
class Reloads {
  readonly is;
  readonly calls: unknown[][] = [];
  readonly refused: string[] = [];
  /** Calls that are refused: with the error that this gives. */
  refuse: (call: string, argument: never) => Error | undefined = () => undefined;

  constructor(text: string) {
    this.is = inForce(parse(text));
  }

  async reload(text: string): Promise<unknown[][]> {
    const call = (name: string) => async (argument: unknown) => {
      this.calls.push([name, argument]);
      const error = this.refuse(name, argument as never);
      if (error) throw error;
    };
    const model = new Proxy({}, { get: (_, name) => call(String(name)) });
    const now = parse(text);
    const steps = difference(this.is, now);
    forgetCommands(this.is, now);
    for (const { what, run } of steps) {
      await run({ lb: model, dataplane: model } as unknown as Lbd, this.is).catch(() => this.refused.push(what));
    }
    return this.calls.splice(0);
  }
}

const told = (before: string, now: string) => new Reloads(before).reload(now);

const vip = { prefix: '10.0.0.1/32', protocol: 'tcp', port: 80 };

it('touches nothing that is the same', async () => {
  const text = `lb: {timeout: 30}\nvips: [{${web}, as: [{address: 1.2.3.4}]}]\nnat: {nat4: [a]}\ncommands: [show lb]`;
  expect(await told(text, text)).toEqual([]);
});

it('changes servers in place, so that the flows of the others go on, new ones first', async () => {
  const before = `vips: [{${web}, as: [{address: 1.2.3.1}, {address: 1.2.3.2}, {address: 1.2.3.3}]}]`;
  const now = `vips: [{${web}, as: [{address: 1.2.3.1}, {address: 1.2.3.2, weight: 5}, {address: 1.2.3.4}]}]`;
  expect(await told(before, now)).toEqual([
    ['addServers', { vip, addresses: ['1.2.3.2'], weight: 5, flush: false }],
    ['addServers', { vip, addresses: ['1.2.3.4'], weight: 100, flush: false }],
    ['deleteServers', { vip, addresses: ['1.2.3.3'], flush: false }],
  ]);
});

it('makes a VIP anew if it is another one now, and deletes what is gone', async () => {
  const before = `vips: [{${web}, as: [{address: 1.2.3.1}]}, {prefix: 10.0.0.2/32}]`;
  const now = `vips: [{${web}, new_len: 8, as: [{address: 1.2.3.1}]}]`;
  expect(await told(before, now)).toEqual([
    ['deleteVip', vip],
    ['deleteVip', { prefix: '10.0.0.2/32' }],
    ['addVip', expect.objectContaining({ ...vip, newLen: 8 })],
    ['addServers', { vip, addresses: ['1.2.3.1'], weight: 100, flush: false }],
  ]);
});

it('changes settings, NAT interfaces and new commands', async () => {
  const before = 'nat: {nat4: [a]}\ncommands: [lb conf timeout 30]';
  const now = 'lb: {timeout: 50}\nnat: {nat4: [b]}\ncommands: [lb conf timeout 30, test lb flowtable flush]';
  expect(await told(before, now)).toEqual([
    ['lbConf', { timeout: 50 }],
    ['setNatInterface', { family: 4, interface: 'a', enable: false }],
    ['setNatInterface', { family: 4, interface: 'b', enable: true }],
    ['flushFlowTable', undefined],
  ]);
});

it('names what needs a restart, until it is as the file says again', () => {
  const is = inForce(parse('lb: {timeout: 30, flow-hash: keyed}\ncommands: [lb conf timeout 30]'));
  const other = 'workers: 2\nnat: {sessions: 5}\nlb: {timeout: 40}';
  const keys = ['workers', 'nat.sessions or nat.timeouts', 'lb.flow-hash', 'commands'];
  expect(needRestart(is, parse(other))).toEqual(keys);
  expect(needRestart(is, parse(other))).toEqual(keys);
  expect(needRestart(is, is.start)).toEqual([]);
});

describe('what is refused', () => {
  const one = `vips: [{${web}, as: [{address: 1.2.3.1}]}]`;
  const wide = `vips: [{${web}, new_len: 8, as: [{address: 1.2.3.2}]}]`;
  const no = new ControlError('LBD_LB_FULL', 'no');

  it('is tried again by the next reload', async () => {
    const reloads = new Reloads('');
    const text = `lb: {timeout: 50}\n${one}\nnat: {nat4: [a]}\ncommands: [lb flush vip 10.0.0.9/32]`;
    reloads.refuse = () => no;
    const first = await reloads.reload(text);
    expect(first.map(([call]) => call)).toEqual(['lbConf', 'addVip', 'setNatInterface', 'flushVip']);
    expect(reloads.refused.length).toBe(4);
    expect(await reloads.reload(text)).toEqual(first);
    reloads.refuse = () => undefined;
    const calls = (await reloads.reload(text)).map(([call]) => call);
    expect(calls).toEqual(['lbConf', 'addVip', 'addServers', 'setNatInterface', 'flushVip']);
    expect(await reloads.reload(text)).toEqual([]);
  });

  it('is not undone when it goes from the file', async () => {
    const reloads = new Reloads('');
    reloads.refuse = () => no;
    await reloads.reload(`${one}\nnat: {nat4: [a]}`);
    expect(await reloads.reload('')).toEqual([]);
  });

  it('leaves the VIP that was to be replaced', async () => {
    const reloads = new Reloads(one);
    reloads.refuse = (call, { newLen }: { newLen?: number }) => (call === 'addVip' && newLen === 8 ? no : undefined);
    expect(await reloads.reload(wide)).toEqual([
      ['deleteVip', vip],
      ['addVip', expect.objectContaining({ newLen: 8 })],
      ['addVip', expect.objectContaining({ newLen: 1024 })],
      ['addServers', { vip, addresses: ['1.2.3.1'], weight: 100, flush: false }],
    ]);
    expect(await reloads.reload(one)).toEqual([]);
  });

  it('leaves it if one of the new servers is refused, too', async () => {
    const reloads = new Reloads(one);
    reloads.refuse = (call, { addresses }: { addresses?: string[] }) =>
      call === 'addServers' && addresses![0] === '1.2.3.2' ? no : undefined;
    const calls = (await reloads.reload(wide)).map(([call]) => call);
    expect(calls).toEqual(['deleteVip', 'addVip', 'addServers', 'deleteVip', 'addVip', 'addServers']);
    expect(await reloads.reload(one)).toEqual([]);
  });

  it('keeps the servers that others were to replace', async () => {
    const reloads = new Reloads(one);
    reloads.refuse = (call) => (call === 'addServers' ? no : undefined);
    const calls = await reloads.reload(one.replace('1.2.3.1', '1.2.3.2'));
    expect(calls.map(([call]) => call)).toEqual(['addServers']);
    expect(await reloads.reload(one)).toEqual([]);
  });

  it('does not count as refused if a command has deleted it already', async () => {
    const two = one.replace(']}', ', {address: 1.2.3.2}, {address: 1.2.3.3}]}');
    const reloads = new Reloads(two);
    reloads.refuse = (call, { addresses }: { addresses?: string[] }) =>
      call === 'deleteServers' && addresses!.includes('1.2.3.2') ? new ControlError('LBD_LB_NO_AS', 'no') : undefined;
    const calls = await reloads.reload(one);
    expect(calls).toContainEqual(['deleteServers', { vip, addresses: ['1.2.3.3'], flush: false }]);
    reloads.refuse = () => new ControlError('LBD_LB_NO_VIP', 'no');
    await reloads.reload('');
    expect(reloads.refused).toEqual([]);
    expect(await reloads.reload('')).toEqual([]);
  });
});
