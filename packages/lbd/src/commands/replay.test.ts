import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Captures, SERVERS } from '../testing/captures.ts';

let captures: Captures;

beforeEach(() => {
  captures = new Captures();
});
afterEach(() => captures.remove());

const ports = Array.from({ length: 60 }, (_, i) => 20_000 + i);

describe('lbd replay', () => {
  it('sends each flow to one server, rewritten, through the whole graph', async () => {
    captures.writeRequests(ports, 4);
    const { code, stdout, stderr } = await captures.run('lbd', ['replay', '-c', captures.writeConfig()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const sent = captures.readSent();
    expect(sent).toHaveLength(240);
    for (const { ip, tcp, good, mac } of sent) {
      expect(good).toBe(true);
      expect(ip).toMatchObject({ src: '10.1.0.2', ttl: 63 });
      expect(tcp.dport).toBe(80);
      expect(mac).toBe(`02:00:00:00:01:0${SERVERS.indexOf(ip.dst) + 1}`);
    }
    for (const port of ports) {
      expect(new Set(sent.filter(({ tcp }) => tcp.sport === port).map(({ ip }) => ip.dst)).size).toBe(1);
    }
    expect(new Set(sent.map(({ ip }) => ip.dst))).toEqual(new Set(SERVERS));
    expect(stdout).toContain('rx packets 240');
    expect(stdout).toContain('tx packets 240');
    expect(stdout).toContain('first session packet: 60');
    expect(stdout).toContain('packet from existing sessions: 180');
  });

  it('runs the commands it is given, and counts what it drops', async () => {
    captures.writeRequests([1, 2, 3], 1, '99.0.0.1');
    const config = captures.writeConfig({ commands: ['trace add 1'] });
    const commands = ['show errors', 'show trace', 'show runtime', 'show ip fib', 'show memory', 'show node drop'];
    const { code, stdout } = await captures.run('lbd', ['replay', '-c', config, ...commands]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/3 +ip4-lookup +no route/);
    expect(stdout).toMatch(/Packet 1, worker 0, [\d.]+ s\npcap-input\n[\s\S]*ip4-lookup\n[\s\S]*drop/);
    expect(stdout).toMatch(/ip4-lookup +active +1 +3 +3 /);
    expect(stdout).toMatch(/192\.168\.1\.0\/24\n {2}glean lan0/);
    expect(stdout).toContain('buffers: frames');
    expect(stdout).toContain('known previous nodes');
  });

  it('goes on when a node of a plugin throws, and says so', async () => {
    mkdirSync(captures.path('node_modules/@lbd'), { recursive: true });
    mkdirSync(captures.path('node_modules/bad'));
    symlinkSync(fileURLToPath(new URL('../../../lb', import.meta.url)), captures.path('node_modules/@lbd/lb'));
    writeFileSync(captures.path('node_modules/bad/package.json'), '{ "type": "module", "exports": "./index.js" }');
    writeFileSync(
      captures.path('node_modules/bad/index.js'),
      `import { defineEncap } from '@lbd/lb';
      const process = (context, vector, count) => { if (count > 0) throw new Error('a bug'); return 0; };
      export const bad = defineEncap({
        name: 'bad', summary: 'fails', vipFamilies: [4], serverFamily: 4, overhead: 0,
        vip: { targetPort: 'refused', dscp: 'refused' },
        nodes: () => [{ name: 'bad', next: ['drop'], fanOut: 'dpo', process }],
      });`,
    );
    captures.writeRequests([1, 2, 3], 1);
    const vip = { prefix: '10.10.2.2/32', encap: 'bad', as: SERVERS.map((address) => ({ address })) };
    const config = captures.writeConfig({ plugins: ['bad'], vips: [vip] });
    const { code, stdout, stderr } = await captures.run('lbd', ['replay', '-c', config, 'show errors']);
    expect(stderr).toMatch(/^lbd: a node trapped, lbd goes on: .*"node":"bad".*a bug/);
    expect(code).toBe(0);
    expect(stdout).toMatch(/3 +bad +/);
  });

  it('has workers beside the one that reads the capture', async () => {
    captures.writeRequests(ports, 2);
    const config = captures.writeConfig({ workers: 2 });
    const { code, stdout } = await captures.run('lbd', ['replay', '-c', config, 'show runtime', 'show lb']);
    expect(code).toBe(0);
    expect(stdout).toContain('worker 1: ');
    expect(stdout).toContain('core 1');
    expect(captures.readSent()).toHaveLength(120);
  });

  it.each<[string, object, string[], RegExp]>([
    [
      'another driver',
      { interfaces: [{ name: 'eth0', driver: 'af_packet' }], static: {}, nat: {} },
      [],
      /eth0 has driver af_packet/,
    ],
    [
      'a capture that is not there',
      {
        interfaces: [
          { name: 'wan0', driver: 'pcap', in: '/nowhere' },
          { name: 'lan0', driver: 'pcap' },
        ],
      },
      [],
      /wan0.*\/nowhere/,
    ],
    ['a command that is none', {}, ['frob'], /unknown word "frob"/],
    [
      'a VIP that the model refuses',
      { commands: ['lb vip 10.10.9.9/32 encap frob'] },
      [],
      /commands\[0\] "lb vip 10.10.9.9\/32 encap frob": .*encap frob is not available/,
    ],
    [
      'a server of another family',
      {
        vips: [
          {
            prefix: '10.10.2.3/32',
            protocol: 'tcp',
            port: 1,
            target_port: 1,
            encap: 'nat4',
            as: [{ address: '2001:db8::1' }],
          },
        ],
      },
      [],
      /vips\[0\]\.as: .*2001:db8::1/,
    ],
    ['too little memory', { memory: '64MiB', buffers: 32768 }, [], /memory: .* must be 123MiB or more/],
    ['too many sessions for the memory', { nat: { sessions: 1 << 20 } }, [], /raise the configured memory size/],
    [
      'a plugin that is not there',
      { plugins: ['no-such-plugin'] },
      [],
      /plugin no-such-plugin is refused: Cannot find package/,
    ],
    ['a plugin that is none', { plugins: ['commander'] }, [], /exports no encap/],
  ])('refuses %s: one message, no stack', async (_, more, commands, message) => {
    captures.writeRequests([1], 1);
    const { code, stdout, stderr } = await captures.run('lbd', [
      'replay',
      '-c',
      captures.writeConfig(more),
      ...commands,
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
