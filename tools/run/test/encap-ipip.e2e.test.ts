// examples/encap-ipip, outside of the repository and from tarballs only: built, tested, packed, installed beside lbd, loaded by
// its name, with traffic.
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BalancerLab, Daemon, labSuite } from '../../netlab/dist/index.js';
import { ROOT } from '../process.mjs';
import { closure, install, packAll, publishedPackages } from './support/packed.ts';

const run = promisify(execFile);
const MINUTE = 60_000;
const EXAMPLE = join(ROOT, 'examples/encap-ipip');

let home: string;
let plugin: string;
let site: string;
/** Tarballs of what a plugin's author needs, and nothing else. */
let kit: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'lbd-ipip-'));
  plugin = join(home, 'encap-ipip');
  site = join(home, 'site');
  const own = ['node_modules', 'dist', 'package-lock.json'].map((name) => join(EXAMPLE, name));
  cpSync(EXAMPLE, plugin, { recursive: true, filter: (path) => !own.includes(path) });
  const tarballs = await packAll(join(home, 'tarballs'));
  kit = join(home, 'kit');
  mkdirSync(kit);
  const needed = files(tarballs, closure('@lbd/encap-kit', '@lbd/fib'));
  for (const file of needed) copyFileSync(file, join(kit, basename(file)));
  await install(plugin, needed, '--no-save');
  await run('npm', ['run', 'build'], { cwd: plugin });
  await run('npm', ['pack', '--pack-destination', home], { cwd: plugin });
  const packed = readdirSync(home).find((name) => name.endsWith('.tgz'))!;
  mkdirSync(site);
  writeFileSync(join(site, 'package.json'), '{ "private": true, "type": "module" }\n');
  await install(site, [...files(tarballs, closure('lbd')), join(home, packed)]);
}, 10 * MINUTE);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const files = (tarballs: Map<string, string>, names: Set<string>) => [...names].map((name) => tarballs.get(name)!);
const lbd = () => join(site, 'node_modules/lbd/dist/bin/lbd.js');

it('asks for the versions that there are', () => {
  const manifest = JSON.parse(readFileSync(join(EXAMPLE, 'package.json'), 'utf8'));
  const root = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const own = new Map(publishedPackages().map(({ name, version }) => [name, version]));
  for (const [name, version] of Object.entries({ ...manifest.peerDependencies, ...manifest.devDependencies })) {
    const wanted = own.get(name) ?? root.devDependencies[name];
    expect(version, name).toBe(wanted);
  }
});

it('passes its own tests', { timeout: 2 * MINUTE }, async () => {
  const { stdout } = await run('npx', ['vitest', 'run', '--reporter=json'], { cwd: plugin });
  const { success, numPassedTests, numFailedTests } = JSON.parse(stdout.slice(stdout.indexOf('{')));
  expect({ success, numFailedTests }).toEqual({ success: true, numFailedTests: 0 });
  expect(numPassedTests).toBeGreaterThan(100);
});

it('began as the template does: what the documentation says to type makes a package that passes', {
  timeout: 5 * MINUTE,
}, async () => {
  const document = readFileSync(join(ROOT, 'docs/writing-an-encap.md'), 'utf8');
  const [, lines] = /<!-- run -->\n\n```sh\n(.*?)```/s.exec(document)!;
  // Before the packages are on the registry they come from tarballs.
  const packages = readdirSync(kit).map((name) => `--package=${join(kit, name)}`);
  const script = lines!
    .replace('--package=@lbd/encap-kit create-encap', `--yes ${packages.join(' ')} -- create-encap --tarballs ${kit}`)
    .replace('npm install', 'npm install --no-audit --no-fund --prefer-offline');
  const { stdout } = await run('sh', ['-ec', script], { cwd: home });
  expect(stdout).toMatch(/Test Files .*1 passed/);
  expect(stdout).toMatch(/Tests .*\d\d passed/);
});

/** Writes a capture of packets to both VIPs. */
const WRITE = `
import sys
from scapy.all import Ether, ICMP, IP, IPv6, Raw, TCP, UDP, wrpcap
mac = dict(src='02:00:00:00:00:02', dst='02:00:00:00:00:01')
packets = []
for n in range(40):
    for ip in (IP(src='1.2.3.%d' % n, dst='10.10.2.2', tos=n * 4, ttl=20), IPv6(src='2001:db8:1::%x' % n, dst='2001:db8:10::2', tc=n * 4, hlim=20)):
        packets.append(Ether(**mac) / ip / (UDP(sport=1000 + n, dport=53) if n % 2 else TCP(sport=1000 + n, dport=80)) / Raw(b'x' * n * 30))
wrpcap(sys.argv[1], packets)
`;
/** Reads what came out, takes the outer headers off by scapy, and compares with what went in. */
const READ = `
import sys
from scapy.all import IP, IPv6, rdpcap, raw
given, sent, encap, ttl = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
Outer = IP if encap == 'ipip4' else IPv6
servers = ['10.0.0.%d' % n for n in (11, 12)] if encap == 'ipip4' else ['2001:db8:2::%d' % n for n in (11, 12)]
wanted = [raw(p.payload) for p in rdpcap(given)]
found, used = [], set()
for p in rdpcap(sent):
    outer = p.payload
    assert type(outer) is Outer, outer.summary()
    inner = outer.payload
    assert outer.dst in servers, outer.dst
    assert outer.src == ('10.0.0.1' if Outer is IP else '2001:db8:2::1'), outer.src
    assert (outer.ttl if Outer is IP else outer.hlim) == ttl - 1
    assert (outer.proto if Outer is IP else outer.nh) == (4 if type(inner) is IP else 41)
    assert (outer.tos if Outer is IP else outer.tc) == (inner.tos if type(inner) is IP else inner.tc)
    fresh = outer.copy()
    for field in ('len', 'plen', 'chksum'):
        if field in fresh.fields: del fresh.fields[field]
    assert raw(fresh) == raw(outer), 'lengths or checksums'
    found.append(raw(inner)); used.add(outer.dst)
assert sorted(found) == sorted(wanted), (len(found), len(wanted))
assert len(used) == 2
print('as sent')
`;

it.each([
  ['ipip4', 33],
  ['ipip6', 64],
])('carries what a capture has in %s, as scapy sees it', async (encap, ttl) => {
  const [given, sent] = [join(site, `${encap}-in.pcap`), join(site, `${encap}-out.pcap`)];
  await run('/usr/bin/python3', ['-c', WRITE, given]);
  const family = encap === 'ipip4' ? 4 : 6;
  const servers = family === 4 ? ['10.0.0.11', '10.0.0.12'] : ['2001:db8:2::11', '2001:db8:2::12'];
  const config = {
    interfaces: [{ name: 'in0', driver: 'pcap', in: given, out: sent }],
    memory: '256MiB',
    plugins: ['lbd-encap-ipip'],
    ...(ttl === 64 ? {} : { encaps: { [encap]: { ttl } } }),
    lb: { 'ip4-src-address': '10.0.0.1', 'ip6-src-address': '2001:db8:2::1' },
    vips: ['10.10.2.2/32', '2001:db8:10::2/128'].map((prefix) => ({
      prefix,
      encap,
      as: servers.map((address) => ({ address })),
    })),
    static: {
      interfaces: [
        { name: 'in0', mac: '02:00:00:00:00:01', mtu: 1600, addresses: ['10.0.0.1/24', '2001:db8:2::1/64'] },
      ],
      neighbours: servers.map((address, n) => ({ address, interface: 'in0', mac: `02:00:00:00:01:0${n}` })),
    },
  };
  writeFileSync(join(site, `${encap}.yaml`), JSON.stringify(config));
  const args = [lbd(), 'replay', '--config', `${encap}.yaml`, 'show lb encaps', 'show errors'];
  const { stdout } = await run(process.execPath, args, { cwd: site });
  expect(stdout).toMatch(new RegExp(`^${encap} .*lbd-encap-ipip`, 'm'));
  expect(stdout).toContain(`  ttl: ${ttl}  (16 to 255)`);
  const { stdout: said } = await run('/usr/bin/python3', ['-c', READ, given, sent, encap, String(ttl)]);
  expect(said.trim()).toBe('as sent');
});

it('is refused with what is wrong in the configuration', async () => {
  const base = { interfaces: [{ name: 'in0', driver: 'pcap' }], memory: '128MiB', plugins: ['lbd-encap-ipip'] };
  const refusal = async (encaps: object) => {
    writeFileSync(join(site, 'wrong.yaml'), JSON.stringify({ ...base, encaps }));
    const failed = await run(process.execPath, [lbd(), '--check-config', '--config', 'wrong.yaml'], {
      cwd: site,
    }).catch((e) => e);
    expect(failed.code).toBe(1);
    return failed.stderr as string;
  };
  expect(await refusal({ ipip4: { ttl: 1000 } })).toMatch(/encaps.ipip4.ttl: .*16 to 255/);
  expect(await refusal({ ipip4: { hops: 64 } })).toMatch(/encaps.ipip4: .*"hops".*allowed: a mapping with ttl/);
  expect(await refusal({ ipip5: {} })).toMatch(/encaps.ipip5: there is no encap ipip5: available are .*ipip4, ipip6/);
});

labSuite(describe, 'xdp', 'lbd with the plugin, over AF_XDP', () => {
  it.each(['ipip4', 'ipip6'] as const)(
    'balances HTTP by %s to servers that take the outer header off',
    { timeout: 2 * MINUTE },
    async (encap) => {
      const lab = await BalancerLab.create('ipip', { ip6: true });
      try {
        const vip = '10.10.2.2';
        for (const server of lab.servers) {
          await server.tunnelEnd(encap);
          await server.ip(`address add ${vip}/32 dev lo`);
        }
        const actors = await lab.serverActors();
        for (const actor of actors) await actor.call('httpServer', { port: 8080, address: '::' });
        const config = { ...lab.config({ driver: 'af_xdp' }), nat: {}, plugins: ['lbd-encap-ipip'] };
        const daemon = await Daemon.start(lab.host, config, { folder: lab.lab.folder, program: lbd(), cwd: site });
        await daemon.command('lb conf ip4-src-address 192.168.1.254 ip6-src-address 2001:db8:2::fe');
        await daemon.command(`lb vip ${vip}/32 encap ${encap}`);
        const servers = encap === 'ipip4' ? lab.serverAddresses : lab.serverAddresses6;
        await daemon.command(`lb as ${vip}/32 ${servers.join(' ')}`);
        const client = await lab.client.actor();
        const result = await client.call('httpLoad', {
          url: `http://${vip}:8080/`,
          requests: 60,
          connections: 6,
          perConnection: 1,
        });
        expect(result).toMatchObject({ ok: 60, failed: 0 });
        expect(Object.keys(result.servers).length).toBeGreaterThan(1);
        const vips = await daemon.data('show lb vips verbose');
        expect(vips[0].counters.firstSession).toBeGreaterThan(0);
        await daemon.stop();
      } finally {
        await lab.destroy();
      }
    },
  );
});
