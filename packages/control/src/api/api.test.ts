import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Lbd } from '../model.ts';
import { fakeLbd } from '../testing/fake-lbd.ts';
import { ControlClient } from './client.ts';
import { openApi } from './openapi.ts';
import { type ControlServer, controlApp, serveControl } from './server.ts';
import { messages } from './vpp.ts';

let folder: string;
let server: ControlServer;
let client: ControlClient;
let calls: unknown[][];

async function serve(lbd: Lbd): Promise<void> {
  const socket = join(folder, 'run', 'lbd.sock');
  server = await serveControl(lbd, { socket, version: '1.2.3', metrics: async () => 'lbd_up 1\n' });
  client = new ControlClient(socket);
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lbd-control-'));
  calls = [];
  await serve(fakeLbd(calls));
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const vip = { encap: 'gre4', type: 'clusterip', newLen: 1024, srcIpSticky: false };
const web = { prefix: '10.0.0.1/32', protocol: 'tcp', port: 80 };
const pfx = { pfx: '10.0.0.1/32', protocol: 6, port: 80 };

describe('messages of the binary API', () => {
  it.each<[string, object, unknown[]]>([
    [
      'lb_conf',
      { ip4_src_address: '1.2.3.4', sticky_buckets_per_core: 64, flow_timeout: 10 },
      ['lbConf', { ip4SrcAddress: '1.2.3.4', buckets: 64, timeout: 10 }],
    ],
    ['lb_add_del_vip', { pfx: '90.1.0.0/8' }, ['addVip', { ...vip, prefix: '90.0.0.0/8' }]],
    [
      'lb_add_del_vip',
      { pfx: '90.1.0.0/8', protocol: 255, port: 0, encap: 1, new_flows_table_length: 64 },
      ['addVip', { ...vip, prefix: '90.0.0.0/8', encap: 'gre6', newLen: 64 }],
    ],
    [
      'lb_add_del_vip_v2',
      { ...pfx, encap: 3, type: 1, target_port: 8080, node_port: 30000, src_ip_sticky: true },
      [
        'addVip',
        { ...vip, ...web, encap: 'nat4', type: 'nodeport', targetPort: 8080, nodePort: 30000, srcIpSticky: true },
      ],
    ],
    ['lb_add_del_vip', { ...pfx, is_del: true }, ['deleteVip', web]],
    [
      'lb_add_del_as',
      { ...pfx, as_address: '10.1.0.1' },
      ['addServers', { vip: web, addresses: ['10.1.0.1'], flush: false }],
    ],
    [
      'lb_add_del_as_v2',
      { ...pfx, as_address: '10.1.0.1', weight: 50 },
      ['addServers', { vip: web, addresses: ['10.1.0.1'], weight: 50, flush: false }],
    ],
    [
      'lb_add_del_as',
      { ...pfx, as_address: '10.1.0.1', is_del: true, is_flush: true },
      ['deleteServers', { vip: web, addresses: ['10.1.0.1'], flush: true }],
    ],
    [
      'lb_as_set_weight',
      { ...pfx, as_address: '10.1.0.1', weight: 0 },
      ['setWeight', { vip: web, address: '10.1.0.1', weight: 0, flush: false }],
    ],
    ['lb_flush_vip', pfx, ['flushVip', web]],
    [
      'lb_add_del_intf_nat4',
      { interface: 'eth0' },
      ['setNatInterface', { family: 4, interface: 'eth0', enable: true }],
    ],
    [
      'lb_add_del_intf_nat6',
      { interface: 'eth0', is_add: false },
      ['setNatInterface', { family: 6, interface: 'eth0', enable: false }],
    ],
  ])('%s %j', async (name, body, call) => {
    expect(await client.api(name, body)).toEqual({ retval: 0 });
    expect(calls).toEqual([call]);
  });

  it('dumps', async () => {
    const name = { pfx: '10.10.2.2/32', protocol: 'tcp', port: 8080 };
    expect(await client.api('lb_conf_get')).toEqual({
      retval: 0,
      ip4_src_address: '10.0.0.1',
      ip6_src_address: null,
      sticky_buckets_per_core: 1024,
      flow_timeout: 40,
    });
    expect(await client.api('lb_vip_dump')).toEqual([
      {
        vip: name,
        encap: 'nat4',
        dscp: null,
        srv_type: 'clusterip',
        target_port: 80,
        node_port: 0,
        flow_table_length: 1024,
        src_ip_sticky: false,
      },
    ]);
    expect(await client.api('lb_vip_dump', { pfx: '10.10.2.3/32' })).toEqual([]);
    expect(await client.api('lb_as_dump', name)).toEqual([
      { vip: name, app_srv: '192.168.1.1', flags: 1 },
      { vip: name, app_srv: '192.168.1.2', flags: 0 },
    ]);
    expect(await client.api('lb_as_v2_dump')).toMatchObject([
      { weight: 100, num_buckets: 512 },
      { weight: 100, num_buckets: 512 },
    ]);
  });

  it.each<[string, object, RegExp]>([
    ['lb_add_del_vip', {}, /pfx is missing/],
    ['lb_add_del_vip', { pfx: '10.0.0.0/8', frob: 1 }, /unknown key "frob"/],
    ['lb_add_del_vip', { pfx: '10.0.0.0/8', src_ip_sticky: true }, /unknown key "src_ip_sticky"/],
    ['lb_add_del_vip', { pfx: '10.0.0.0/8', encap: 9 }, /encap must be gre4 \(0\)/],
    ['lb_add_del_vip', { ...pfx, encap: 3 }, /target_port is missing/],
    ['lb_add_del_as_v2', { ...pfx, as_address: '10.1.0.1', weight: 101 }, /weight 101/],
    ['lb_conf', {}, /nothing to change/],
  ])('refuses %s %j', async (name, body, message) => {
    await expect(client.api(name, body)).rejects.toMatchObject({
      code: 'LBD_INVALID_VALUE',
      message: expect.stringMatching(message),
    });
    expect(calls).toEqual([]);
  });
});

describe('the control socket', () => {
  it('runs command lines', async () => {
    expect(await client.command('lb flush vip 10.0.0.0/8')).toEqual({ text: '', data: null });
    expect(calls).toEqual([['flushVip', { prefix: '10.0.0.0/8' }]]);
    const { text, data } = await client.command('show version');
    expect(text).toContain('lbd 1.2.3');
    expect(data).toMatchObject({ version: '1.2.3', workers: 1 });
    await expect(client.command('frob')).rejects.toMatchObject({ code: 'LBD_SYNTAX' });
  });

  it('answers the half that is asked for', async () => {
    expect(await client.text('show version')).toContain('lbd 1.2.3');
    expect(await client.data('show version')).toMatchObject({ version: '1.2.3', workers: 1 });
    const app = controlApp(fakeLbd(), { version: '' });
    const ask = (body: object) =>
      app.inject({ method: 'POST', url: '/cli', body: { command: 'show lb vips', ...body } });
    const both = (await ask({})).json();
    expect(both).toEqual({ text: expect.any(String), data: expect.any(Array) });
    expect((await ask({ answer: 'text' })).body).toBe(both.text);
    expect((await ask({ answer: 'data' })).body).toBe(JSON.stringify(both.data));
    expect((await ask({ answer: 'both' })).json()).toMatchObject({ code: 'LBD_INVALID_VALUE' });
    const change = { command: 'lb flush vip 10.0.0.0/8' };
    expect((await ask({ ...change, answer: 'text' })).body).toBe('');
    expect((await ask({ ...change, answer: 'data' })).body).toBe('null');
  });

  it.each([0, 1, 100, 101, 1000])('answers a list of %i in one line of JSON', async (length) => {
    const base = fakeLbd();
    const vips = Array.from({ length }, (_, index) => ({ index }));
    await server.close();
    await serve({ ...base, lb: { ...base.lb, vips: async () => vips as never } });
    expect(await client.json('show lb vips')).toBe(JSON.stringify(vips));
  });

  it('does not make the text for who wants the data', async () => {
    const base = fakeLbd();
    // There is no text for this.
    const strange = { ...base, lb: { ...base.lb, vips: async () => ['strange'] as never } };
    await server.close();
    await serve(strange);
    expect(await client.data('show lb vips')).toEqual(['strange']);
    await expect(client.text('show lb vips')).rejects.toMatchObject({ code: 'LBD_INTERNAL' });
    await expect(client.command('show lb vips')).rejects.toMatchObject({ code: 'LBD_INTERNAL' });
  });

  it('passes on the errors of the model, and says which faults are its own', async () => {
    const broken = fakeLbd();
    const refuse = (error: Error) => ({ ...broken, lb: { ...broken.lb, flushFlowTable: () => Promise.reject(error) } });
    await server.close();
    await serve(refuse(Object.assign(new Error('no such thing'), { code: 'LBD_LB_NO_VIP' })));
    await expect(client.command('test lb flowtable flush')).rejects.toMatchObject({ code: 'LBD_LB_NO_VIP' });
    await server.close();
    await serve(refuse(new TypeError('x is undefined')));
    await expect(client.command('test lb flowtable flush')).rejects.toMatchObject({
      code: 'LBD_INTERNAL',
      message: 'a fault in lbd: x is undefined',
    });
  });

  it('runs one change after the other', async () => {
    const log: string[] = [];
    const base = fakeLbd();
    const slow = async ({ prefix }: { prefix: string }) => {
      log.push(`${prefix} begins`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      log.push(`${prefix} ends`);
    };
    await server.close();
    await serve({ ...base, lb: { ...base.lb, flushVip: slow } });
    await Promise.all([client.command('lb flush vip 1.0.0.0/8'), client.command('lb flush vip 2.0.0.0/8')]);
    expect(log).toHaveLength(4);
    expect(log[0]!.split(' ')[0]).toBe(log[1]!.split(' ')[0]);
  });

  it('is for its owner and group only', () => {
    expect(statSync(server.socket).mode & 0o777).toBe(0o660);
  });

  it('refuses a socket that another answers on, and takes over one left behind', async () => {
    const socket = join(folder, 'run', 'lbd.sock');
    await expect(serveControl(fakeLbd(), { socket, version: '' })).rejects.toMatchObject({ code: 'LBD_SOCKET_IN_USE' });
    expect((await client.command('show version')).text).toContain('lbd');
    await server.close();
    // What a killed process leaves has no listener.
    const killed = createServer().listen(`${socket}.killed`);
    await once(killed, 'listening');
    renameSync(`${socket}.killed`, socket);
    killed.close();
    await serve(fakeLbd());
    expect((await client.command('show version')).text).toContain('lbd');
  });

  it('does not take the place of a file that is no socket', async () => {
    const socket = join(folder, 'precious');
    writeFileSync(socket, 'keep');
    await expect(serveControl(fakeLbd(), { socket, version: '' })).rejects.toMatchObject({
      code: 'LBD_SOCKET',
      message: `can't listen on ${socket}: it is there, and no socket`,
    });
    expect(readFileSync(socket, 'utf8')).toBe('keep');
  });

  it('says when nobody answers', async () => {
    await expect(new ControlClient(join(folder, 'none')).command('show lb')).rejects.toMatchObject({
      code: 'LBD_NOT_RUNNING',
    });
  });

  it('serves metrics', async () => {
    expect(await client.metrics()).toBe('lbd_up 1\n');
  });

  it('describes itself', () => {
    const { paths } = openApi('1.2.3') as { paths: Record<string, unknown> };
    const posts = ['/cli', ...Object.keys(messages).map((name) => `/api/${name}`)];
    expect(Object.keys(paths)).toEqual([...posts, '/metrics', '/openapi.json']);
    expect(JSON.stringify(paths['/api/lb_as_set_weight'])).toContain('"weight"');
  });
});

it('ends although somebody only holds a connection', async () => {
  const idle = connect(client.socket);
  await new Promise((resolve) => idle.once('connect', resolve));
  const closed = new Promise((resolve) => idle.once('close', resolve));
  await server.close();
  await closed;
  await expect(client.command('show version')).rejects.toMatchObject({ code: 'LBD_NOT_RUNNING' });
}, 10_000);
