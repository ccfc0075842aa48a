import { existsSync } from 'node:fs';
import { BalancerLab, type Daemon, type DaemonConfig, labSuite, SERVER_SIDE, VIP_KEY } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const vip = { prefix: '10.10.2.2/32', protocol: 'tcp', port: 8080, encap: 'nat4', target_port: 80 };

labSuite(describe, 'xdp', 'a configuration that is wrong', () => {
  let lab: BalancerLab;

  beforeAll(async () => {
    lab = await BalancerLab.create('config');
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  /** Starts lbd, which must end by itself with a message, not a stack, and leave no trace. */
  async function refusal(config: DaemonConfig | string, under: string[] = []): Promise<string> {
    const lbd = lab.launch(config, { under });
    const { code } = await lbd.process.exited;
    expect(code).toBeGreaterThan(0);
    expect(await lab.xdpPrograms()).toEqual([]);
    expect(existsSync(lbd.socket)).toBe(false);
    expect(lbd.process.output).not.toMatch(/\n\s+at /);
    return lbd.process.output;
  }

  const WRONG: [string, (good: DaemonConfig) => DaemonConfig, RegExp][] = [
    ['an unknown key', (good) => ({ ...good, vipz: [] }), /unknown key "vipz"/],
    ['an unknown key inside', (good) => ({ ...good, vips: [{ ...vip, ports: 1 }] }), /vips\[0\].*unknown key "ports"/],
    ['nat4 for an IPv6 VIP', (good) => ({ ...good, vips: [{ ...vip, prefix: '2001:db8::1/128' }] }), /nat4/],
    [
      'an IPv6 server of nat4',
      (good) => ({ ...good, vips: [{ ...vip, as: [{ address: '2001:db8::2' }] }] }),
      /2001:db8::2/,
    ],
    ['buckets that are no power of two', (good) => ({ ...good, lb: { buckets: 1000 } }), /buckets.*1000.*power of two/],
    [
      'new_len that is no power of two',
      (good) => ({ ...good, vips: [{ ...vip, new_len: 1000 }] }),
      /1000.*power of two/,
    ],
    ['a VIP twice', (good) => ({ ...good, vips: [vip, vip] }), /10\.10\.2\.2\/32.*twice/],
    ['a port out of range', (good) => ({ ...good, vips: [{ ...vip, port: 70000 }] }), /port.*70000.*65535/],
    [
      'a weight out of range',
      (good) => ({ ...good, vips: [{ ...vip, as: [{ address: '192.168.1.1', weight: 101 }] }] }),
      /101.*100/,
    ],
    [
      'a server of a VIP that is not there',
      (good) => ({ ...good, commands: ['lb as 10.9.9.9/32 192.168.1.1'] }),
      /10\.9\.9\.9\/32/,
    ],
    [
      'an interface that is not there',
      (good) => ({ ...good, interfaces: [{ name: 'nosuch0', driver: 'af_xdp' }], nat: {} }),
      /nosuch0/,
    ],
    [
      'an interface twice',
      (good) => ({ ...good, interfaces: [...(good.interfaces as object[]), { name: SERVER_SIDE, driver: 'af_xdp' }] }),
      /lan0.*twice/,
    ],
    ['NAT on an interface not configured', (good) => ({ ...good, nat: { nat4: ['eth7'] } }), /eth7/],
    [
      'an unknown driver',
      (good) => ({ ...good, interfaces: [{ name: SERVER_SIDE, driver: 'dpdk' }] }),
      /driver.*af_xdp/,
    ],
  ];

  it.each(WRONG)('%s: says so and changes nothing', async (_what, spoil, message) => {
    expect(await refusal(spoil(lab.config({ driver: 'af_xdp' })))).toMatch(message);
  });

  it('names the file, the line and the column', async () => {
    expect(await refusal('interfaces:\n  - name: lan0\n    driver: af_xdp\n    quues: 2\n')).toMatch(
      /lbd\.yaml:2:5: .*quues/,
    );
    expect(await refusal('interfaces: [\n')).toMatch(/lbd\.yaml:2:1: /);
  });

  it('a capability that is missing: says which', async () => {
    const under = ['setpriv', '--bounding-set=-net_admin,-net_raw,-bpf,-sys_admin', '--inh-caps=-all'];
    expect(await refusal(lab.config({ driver: 'af_xdp' }), under)).toMatch(/CAP_(NET_ADMIN|NET_RAW|BPF)/);
    expect(await refusal(lab.config({ driver: 'af_packet' }), under)).toMatch(/CAP_(NET_ADMIN|NET_RAW)/);
  });

  it('a file that is not there', async () => {
    const lbd = await lab.host.attempt(process.execPath, [
      new URL('../dist/bin/lbd.js', import.meta.url).pathname,
      '--config',
      '/nowhere/lbd.yaml',
    ]);
    expect(lbd.code).toBeGreaterThan(0);
    expect(lbd.stderr + lbd.stdout).toMatch(/\/nowhere\/lbd\.yaml/);
  });
});

labSuite(describe, 'xdp', 'a command that is wrong', () => {
  let lab: BalancerLab;
  let lbd: Daemon;

  beforeAll(async () => {
    lab = await BalancerLab.create('command');
    lbd = await lab.start({ ...lab.config({ driver: 'af_xdp' }), commands: lab.vipCommands });
  });

  afterAll(async () => {
    await lab?.destroy();
  });

  it.each([
    ['lb vip 10.10.2.2/32 protocol tcp port 8080 encap nat4 target_port 80', /exist/],
    ['lb vip 10.10.2.2/32 encap nat4 target_port 80', /port/],
    ['lb vip 10.10.2.5/32 protocol tcp port 70000 encap nat4 target_port 80', /70000/],
    ['lb vip 10.10.2.5/32 protocol tcp port 80 encap nat4', /target_port/],
    ['lb vip 10.10.2.5/32 port 80 encap nat4 target_port 80', /protocol/],
    ['lb vip 10.10.2.5/32 protocol tcp port 80 encap nat4 target_port 80 new_len 0', /power of two/],
    ['lb vip 10.10.2.5/32 protocol tcp port 80 encap nat6 target_port 80', /nat6/],
    ['lb vip 2001:db8::1/128 protocol tcp port 80 encap nat4 target_port 80', /nat4/],
    ['lb vip 10.10.2.300/32 protocol tcp port 80 encap nat4 target_port 80', /10\.10\.2\.300/],
    ['lb vip 10.9.9.9/32 protocol tcp port 80 del', /10\.9\.9\.9/],
    [`lb as ${VIP_KEY} 192.168.1.1`, /192\.168\.1\.1/],
    [`lb as ${VIP_KEY} 2001:db8::1`, /2001:db8::1/],
    [`lb as ${VIP_KEY} 192.168.1.9 weight 101`, /101/],
    [`lb as ${VIP_KEY} 192.168.1.1 weight 5 del`, /exclude/],
    [`lb as ${VIP_KEY} 192.168.1.9 del`, /192\.168\.1\.9/],
    ['lb as 10.9.9.9/32 protocol tcp port 80 192.168.1.1', /10\.9\.9\.9/],
    ['lb conf buckets 1000', /power of two/],
    ['lb conf timeout 0', /timeout/],
    ['lb set interface nat4 in nosuch0', /nosuch0/],
    ['lb flush vip 10.9.9.9/32', /10\.9\.9\.9/],
    ['show nonsense', /nonsense/],
    ['trace add -1', /-1/],
  ])('%s', async (command, message) => {
    const state = async () => [await lbd.command('show lb vips verbose'), (await lbd.data('show lb')).conf];
    const before = await state();
    const { code, stdout, stderr } = await lbd.lbctl(...command.split(' '));
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(await state()).toEqual(before);
  });

  it('lbctl says when no lbd is there', async () => {
    const { code, stderr } = await lab.host.attempt(process.execPath, [
      new URL('../dist/bin/lbctl.js', import.meta.url).pathname,
      '--socket',
      '/nowhere/lbd.sock',
      'show',
      'lb',
    ]);
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(/\/nowhere\/lbd\.sock/);
  });
});
