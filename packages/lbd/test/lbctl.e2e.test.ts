import { writeFileSync } from 'node:fs';
import { BalancerLab, type Daemon, LBCTL, labSuite, VIP_KEY } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

labSuite(describe, 'xdp', 'lbctl', () => {
  let lab: BalancerLab;
  let lbd: Daemon;

  beforeAll(async () => {
    lab = await BalancerLab.create('lbctl');
    lbd = await lab.start(lab.config({ driver: 'af_xdp' }));
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  it('runs a file of commands', async () => {
    const file = `${lab.lab.folder}/commands`;
    writeFileSync(file, `# the VIP of the lab\n${lab.vipCommands.join('\n')}\n`);
    expect(await lbd.lbctl('--file', file)).toMatchObject({ code: 0 });
    expect(await lbd.lbctl('show', 'lb', 'vips')).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /^ip4-nat4 10\.10\.2\.2\/32 new_size:1024 #as:3 protocol:tcp port:8080 .*target_port:80\n$/,
      ),
      stderr: '',
    });
  });

  it('prints JSON for programs', async () => {
    const { code, stdout } = await lbd.lbctl('--json', 'show', 'lb', 'vips');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ prefix: '10.10.2.2/32', port: 8080, targetPort: 80, encap: 'nat4' }]);
  });

  it('reads commands from its input', async () => {
    const args = [LBCTL, '--socket', lbd.socket];
    const input = `lb as ${VIP_KEY} 192.168.1.3 weight 50\nshow lb vips verbose\n`;
    const { code, stdout } = await lab.host.attempt(process.execPath, args, { input });
    expect(code).toBe(0);
    expect(stdout).toMatch(/192\.168\.1\.3 weight 50/);
  });

  it.each([
    ['show lb', /#vips: 1/],
    ['show lb vips verbose', /packet from existing sessions: 0/],
    ['show interface', /wan0.*\n(.*\n)*.*lan0/],
    ['show node', /ip4-lookup/],
    ['show runtime', /worker 0/],
    ['show ip fib', /192\.168\.1\.0\/24/],
    ['show errors', /^nothing counted$|^Count +Node +Reason/m],
    ['show memory', /^\d+ bytes, \d+ handed out\nLabel/],
    ['show version', /lbd/],
    ['help', /lb set interface nat4/],
  ])('%s', async (command, expected) => {
    const { code, stdout } = await lbd.lbctl(...command.split(' '));
    expect(code).toBe(0);
    expect(stdout).toMatch(expected);
  });
});
