import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BalancerLab, Daemon, labSuite, VIP_URL, waitFor } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const packages = fileURLToPath(new URL('../../', import.meta.url));
const BAD_VIP = '10.10.9.9';

/** Spoils half of the packets and of their metadata, then traps. With no packets, as when it is tried, it does nothing. */
const KERNEL = `
import { bufferAt, metadataOf, metaOf } from '@lbd/graph/assembly/abi.ts';
import { META_DATA } from '@lbd/graph/src/layout.ts';
export function traps(node: usize, vector: usize, count: i32, nexts: usize): i32 {
  for (let i = 0; i < (count + 1) >> 1; i++) store<u32>(metaOf(metadataOf(node), bufferAt(vector, i)), 0xffffffff, META_DATA);
  if (count > 0) unreachable();
  return 0;
}
`;
const PLUGIN = `
import { defineEncap } from '@lbd/lb';
export const traps = defineEncap({
  name: 'traps', summary: 'fails', vipFamilies: [4], serverFamily: 4, overhead: 0,
  vip: { targetPort: 'refused', dscp: 'refused' },
  nodes: () => [{
    name: 'traps', next: ['drop'], fanOut: 'dpo',
    process: { module: new URL('./dist/kernels.wasm', import.meta.url), export: 'traps' },
  }],
});
`;
/** Sends so many datagrams to the bad VIP, a few at a time. */
const SEND = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(int(sys.argv[2])):
    for m in range(5): s.sendto(b'x' * 100, (sys.argv[1], 1000 + m))
    time.sleep(0.02)
`;

/** Writes a plugin into a folder where lbd is started; its kernels are built as any author's are. */
function write(home: string, name: string, source: string, kernel?: string): void {
  const folder = join(home, 'node_modules', name);
  mkdirSync(join(folder, 'assembly'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }));
  writeFileSync(join(folder, 'index.js'), source);
  if (kernel === undefined) return;
  writeFileSync(join(folder, 'assembly/index.ts'), kernel);
  // The compiler looks for packages below the folder that it is started in.
  symlinkSync(join(home, 'node_modules'), join(folder, 'node_modules'));
  execFileSync(process.execPath, [join(packages, '../tools/build/kernels.mjs')], { cwd: folder });
}

labSuite(describe, 'xdp', 'plugins that are bad', () => {
  let home: string;
  let lab: BalancerLab;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'lbd-bad-plugins-'));
    mkdirSync(join(home, 'node_modules/@lbd'), { recursive: true });
    for (const name of ['lb', 'graph', 'fib']) symlinkSync(join(packages, name), join(home, 'node_modules/@lbd', name));
    write(home, 'lbd-encap-traps', PLUGIN, KERNEL);
    write(home, 'lbd-encap-loops', 'for (;;) {}');
    write(home, 'lbd-encap-throws', 'throw new Error("no licence");');
    lab = await BalancerLab.create('plugins');
  });
  afterAll(async () => {
    await lab?.destroy();
    rmSync(home, { recursive: true, force: true });
  });

  it.each([
    ['lbd-encap-throws', /^lbd: plugin lbd-encap-throws is refused: no licence$/m],
    ['lbd-encap-loops', /^lbd: plugin lbd-encap-loops is refused: it was not loaded within 10 s/m],
  ])('%s: lbd does not start, says why, and leaves nothing behind', async (plugin, message) => {
    const daemon = Daemon.launch(
      lab.host,
      { ...lab.config(), plugins: [plugin] },
      { folder: lab.lab.folder, cwd: home },
    );
    expect((await daemon.process.exited).code).toBe(1);
    expect(daemon.process.output).toMatch(message);
    expect(daemon.process.output).not.toMatch(/\n\s+at /);
    expect(await lab.xdpPrograms()).toEqual([]);
    expect(existsSync(daemon.socket)).toBe(false);
  });

  it('a kernel that traps costs its own packets: flows of other encaps lose none', async () => {
    await lab.httpServers();
    const config = { ...lab.config(), plugins: ['lbd-encap-traps'] };
    const daemon = await Daemon.start(lab.host, config, { folder: lab.lab.folder, cwd: home });
    for (const command of lab.vipCommands) await daemon.command(command);
    await daemon.command(`lb vip ${BAD_VIP}/32 encap traps`);
    await daemon.command(`lb as ${BAD_VIP}/32 ${lab.serverAddresses.join(' ')}`);
    const client = await lab.client.actor();
    await client.call('httpStart', { url: VIP_URL, connections: 8, perConnection: 20, interval: 2 });

    const counted = async (name: string): Promise<number> => {
      const counters = await daemon.data('show errors');
      return (
        counters.find((one: { node: string; name: string }) => one.node === 'traps' && one.name === name)?.count ?? 0
      );
    };
    await lab.client.python(SEND, [BAD_VIP, '60']);
    await waitFor('the node to be disabled', async () => (await counted('disabled')) > 0);
    await lab.client.python(SEND, [BAD_VIP, '20']);
    expect((await counted('trapped')) + (await counted('disabled'))).toBe(80 * 5);
    expect(await counted('trapped')).toBeGreaterThanOrEqual(8);

    const [node] = await daemon.data('show node traps');
    expect(node.disabled).toBe(1);
    expect(await daemon.command('show runtime')).toMatch(/^traps +disabled/m);
    // The log tells of the first trap and of the end, with the node's name, and no more.
    const lines = daemon.process.stdout.split('\n').filter((line) => line.includes('"node":"traps"'));
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
      'a node trapped, lbd goes on',
      'a node trapped again and again and is disabled: its packets are dropped, lbd goes on',
    ]);

    const result = await client.call('httpStop');
    expect(result).toMatchObject({ failed: 0, errors: [] });
    expect(result.ok).toBeGreaterThan(100);
    expect(Object.keys(result.servers).length).toBe(lab.servers.length);
    const runtime = await daemon.data('show runtime');
    expect(runtime.workers[0].freeBuffers).toBeGreaterThan(0);
    expect((await daemon.stop()).code).toBe(0);
  });
});
