import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { ControlClient } from '@lbd/control';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Captures, until } from '../testing/captures.ts';

let captures: Captures;
let client: ControlClient;

function prepare(): void {
  captures = new Captures();
  client = new ControlClient(captures.socket);
  captures.writeRequests([20_000, 20_001], 3);
}

/** Starts lbd on the captures; resolves when it has read them. */
async function start(more: object = {}) {
  const lbd = captures.start('lbd', ['--config', captures.writeConfig(more)]);
  await until(
    async () => ((await client.command('show interface')).data as { rxPackets: number }[])[0]!.rxPackets === 6,
  );
  return lbd;
}

describe('lbd', () => {
  beforeEach(prepare);
  afterEach(() => captures.remove());

  it.each(['SIGTERM', 'SIGINT'] as const)('ends cleanly on %s', async (signal) => {
    const { child, ended } = await start();
    child.kill(signal);
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(existsSync(captures.socket)).toBe(false);
    const messages = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).msg);
    expect(messages).toContain('lbd runs');
    expect(messages.at(-1)).toBe('lbd ends');
  });

  it('takes over the socket that a killed one left', async () => {
    const first = await start();
    first.child.kill('SIGKILL');
    await first.ended;
    expect(existsSync(captures.socket)).toBe(true);
    const { child, ended } = captures.start('lbd', ['--config', captures.path('lbd.yaml')]);
    await until(async () => (await client.command('show version')).text !== '');
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
  });

  it('checks a configuration without running', async () => {
    const good = await captures.run('lbd', ['--check-config', '--config', captures.writeConfig()]);
    expect(good).toMatchObject({ code: 0, stderr: '' });
    const bad = await captures.run('lbd', [
      '--check-config',
      '--config',
      captures.writeConfig({ workers: 0, frob: 1 }),
    ]);
    expect(bad).toMatchObject({ code: 1, stdout: '' });
    expect(bad.stderr).toMatch(/lbd\.yaml:\d+:\d+: workers: 0 is not allowed[\s\S]*unknown key "frob"/);
    const none = await captures.run('lbd', ['--config', '/nowhere/lbd.yaml']);
    expect(none).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('/nowhere/lbd.yaml') });
  });

  it('reads the configuration again on SIGHUP', async () => {
    const { child, ended } = await start();
    const vip = { prefix: '10.10.2.3/32', protocol: 'udp', port: 53, encap: 'nat4', target_port: 53 };
    captures.writeConfig({ vips: [vip], workers: 2 });
    child.kill('SIGHUP');
    await until(async () => (await client.command('show lb vips')).text.startsWith('ip4-nat4 10.10.2.3/32'));
    writeFileSync(captures.path('lbd.yaml'), 'frob: 1');
    child.kill('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 200));
    child.kill('SIGTERM');
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/"keys":\["workers"\].*after a restart/);
    expect(stdout).toMatch(/unknown key.*frob.*nothing was changed/);
  });

  it('changes nothing on SIGHUP if a VIP has an encap that there is not, and says so when it checks the file', async () => {
    const { child, ended } = await start();
    const before = (await client.command('show lb vips verbose')).text;
    const vip = { prefix: '10.10.2.2/32', protocol: 'tcp', port: 8080, encap: 'nat44', target_port: 80 };
    const file = captures.writeConfig({ vips: [vip] });
    const checked = await captures.run('lbd', ['--check-config', '--config', file]);
    expect(checked).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/vips\[0\]\.encap: nat44 is not/),
    });
    child.kill('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await client.command('show lb vips verbose')).text).toBe(before);
    child.kill('SIGTERM');
    expect((await ended).stdout).toMatch(/vips\[0\]\.encap: nat44 is not available.*nothing was changed/);
  });

  it('does not end on a SIGHUP that comes before it runs, and reads the configuration again when it does', async () => {
    const file = captures.writeConfig();
    const pipe = captures.path('pipe');
    const text = await readFile(file);
    execFileSync('mkfifo', [pipe]);
    const { child, ended } = captures.start('lbd', ['--config', pipe]);
    const writer = await open(pipe, 'w'); // lbd is reading it
    child.kill('SIGHUP');
    await writer.writeFile(text);
    rmSync(pipe);
    writeFileSync(pipe, text); // what it reads the next time
    await writer.close();
    await until(async () => (await client.command('show version')).text !== '');
    child.kill('SIGTERM');
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(stdout).toContain('configuration reloaded');
  });

  it('serves metrics', async () => {
    await start();
    const page = await client.metrics();
    expect(page).toContain('lbd_interface_receive_packets_total{interface="wan0"} 6');
    expect(page).toContain('lbd_vip_packets_total{vip="10.10.2.2/32",protocol="tcp",port="8080",choice="first"} 2');
    expect(page).toContain('lbd_server_slots{vip="10.10.2.2/32",protocol="tcp",port="8080",server="192.168.1.1"} 342');
    expect(page).toMatch(/lbd_worker_free_buffers\{worker="0"\} 2048/);
  });
});

describe('lbctl', () => {
  beforeAll(async () => {
    prepare();
    await start();
  });
  afterAll(() => captures.remove());

  it('runs one command', async () => {
    expect(await captures.lbctl('show', 'lb', 'vips')).toEqual({
      code: 0,
      stdout:
        'ip4-nat4 10.10.2.2/32 new_size:1024 #as:3 protocol:tcp port:8080 type:clusterip port:8080 target_port:80\n',
      stderr: '',
    });
    expect(await captures.lbctl('lb', 'flush', 'vip', '10.10.2.2/32', 'protocol', 'tcp', 'port', '8080')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect((await captures.lbctl('show', 'lb')).stdout).toContain('usage: 0 / 4096');
  });

  it('says what was wrong and exits with 1', async () => {
    const { code, stdout, stderr } = await captures.lbctl('lb', 'vip', '10.0.0.1/40');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^lbctl: prefix "10.0.0.1\/40" is not allowed: must be/);
    expect((await captures.lbctl('lb', 'as', '10.9.9.9/32', '192.168.1.1')).stderr).toMatch(/10\.9\.9\.9\/32/);
    const nat = await captures.lbctl('lb', 'set', 'interface', 'nat4', 'in', 'nosuch0');
    expect(nat.stderr).toBe('lbctl: there is no interface "nosuch0": lbd has wan0, lan0\n');
  });

  it('prints JSON for programs', async () => {
    const shown = await captures.lbctl('--json', 'show', 'lb', 'vips');
    expect(JSON.parse(shown.stdout)).toMatchObject([{ prefix: '10.10.2.2/32', servers: [{}, {}, {}] }]);
    const refused = await captures.lbctl('--json', 'frob');
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'LBD_SYNTAX' } });
  });

  it('runs a file, and its input, up to the first command that is refused', async () => {
    const commands = [
      '# a comment',
      '',
      'lb vip 10.0.0.1/32 protocol udp port 53 encap nat4 target_port 53',
      'frob',
      'show version',
    ];
    const file = captures.path('commands');
    writeFileSync(file, commands.join('\n'));
    const { code, stdout, stderr } = await captures.lbctl('--file', file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/commands:4: unknown word "frob"/);
    expect((await captures.lbctl('show', 'lb')).stdout).toContain('#vips: 2');
    const piped = await captures.run(
      'lbctl',
      ['--socket', captures.socket],
      'lb vip 10.0.0.1/32 protocol udp port 53 del\nshow lb\n',
    );
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining('#vips: 1') });
  });

  it('clears figures without the workers’ help', async () => {
    const ran = async () =>
      ((await client.command('show runtime')).data as { nodes: { name: string; packets: number }[] }).nodes.find(
        ({ name }) => name === 'ip4-lookup',
      )!.packets;
    expect(await ran()).toBe(6);
    await captures.lbctl('clear', 'runtime');
    expect(await ran()).toBe(0);
    expect((await client.command('show errors')).text).toContain('sessions created');
    await captures.lbctl('clear', 'errors');
    expect((await client.command('show errors')).text).toBe('nothing counted');
  });

  it('says when no lbd is there', async () => {
    const { code, stderr } = await captures.run('lbctl', ['--socket', '/nowhere/lbd.sock', 'show', 'lb']);
    expect(code).toBe(1);
    expect(stderr).toContain('/nowhere/lbd.sock');
  });
});
