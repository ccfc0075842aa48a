import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probePlugin } from './probe.ts';

const MEMORY = 128 * 2 ** 20;
const packages = fileURLToPath(new URL('../../../', import.meta.url));
/** A kernel that does nothing, and ones that should not be: compiled by lbd-kernels itself where it lets them pass. */
const KERNEL = 'export function mine(node: usize, vector: usize, count: i32, nexts: usize): i32 { return 0; }\n';

let home: string;
let cwd: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'lbd-plugins-'));
  mkdirSync(join(home, 'node_modules/@lbd'), { recursive: true });
  for (const name of ['lb', 'graph', 'fib']) symlinkSync(join(packages, name), join(home, 'node_modules/@lbd', name));
  cwd = process.cwd();
  process.chdir(home);
  build('mine', KERNEL);
  build(
    'loops',
    'export function mine(node: usize, vector: usize, count: i32, nexts: usize): i32 { while (load<u32>(node) != 0xffffffff) {} return 0; }',
  );
  build(
    'traps',
    'export function mine(node: usize, vector: usize, count: i32, nexts: usize): i32 { unreachable(); return 0; }',
  );
  build('long', 'export function mine(node: usize, vector: usize, count: i32, nexts: usize): i64 { return 0; }');
  build(
    'imports',
    `@external('env', 'log') declare function log(n: i32): void;\n${KERNEL.replace('return 0', 'log(1); return 0')}`,
  );
}, 60_000);
afterAll(() => {
  process.chdir(cwd);
  rmSync(home, { recursive: true, force: true });
});

function build(name: string, source: string): void {
  const folder = join(home, 'kernels', name);
  mkdirSync(join(folder, 'assembly'), { recursive: true });
  writeFileSync(join(folder, 'assembly/index.ts'), source);
  execFileSync(process.execPath, [join(packages, '../tools/build/kernels.mjs')], { cwd: folder });
}

let written = 0;

/** Writes a plugin and tries it; returns why it was refused. */
async function refusal(source: string, limit = 10_000, options: Record<string, unknown> = {}): Promise<string> {
  const plugin = `plugin-${++written}`;
  const folder = join(home, 'node_modules', plugin);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: plugin, type: 'module', exports: './index.js' }));
  writeFileSync(join(folder, 'index.js'), source);
  try {
    await probePlugin({ plugin, options, memory: MEMORY }, limit);
  } catch (error) {
    expect(error).toMatchObject({ code: 'LBD_PLUGIN' });
    const [, reason] = /^plugin (?:\S+) is refused: (.*)$/s.exec((error as Error).message)!;
    return reason!;
  }
  return '';
}

const kernel = (name: string) =>
  `{ module: new URL('../../kernels/${name}/dist/kernels.wasm', import.meta.url), export: 'mine' }`;
const node = `{ name: 'mine', next: ['drop'], fanOut: 'dpo', process: ${kernel('mine')} }`;

/** A plugin whose encap is good but for some fields. */
const encap = (fields = '') => `
import { defineEncap } from '@lbd/lb';
export const mine = defineEncap({
  name: 'mine', summary: 'of a test', vipFamilies: [4], serverFamily: 4, overhead: 0,
  vip: { targetPort: 'refused', dscp: 'refused' },
  nodes: () => [${node}],
  ${fields}
});`;
const withNode = (fields: string) => encap(`nodes: () => [{ ...${node}, ${fields} }],`);

const schema = (validate: string) => `options: { '~standard': { version: 1, vendor: 'test', validate: ${validate} } },`;

describe('a plugin that is good', () => {
  it('passes', async () => {
    expect(await refusal(encap())).toBe('');
    expect(await refusal(withNode('process: () => 0'))).toBe('');
  });
});

describe('a plugin is refused, with the reason, if it', () => {
  it.each<[string, string, RegExp]>([
    ['throws when it is imported', `throw new Error('no licence');`, /^no licence$/],
    ['throws what is no error', `throw null;`, /^null$/],
    ['is no JavaScript', `export const = 1;`, /^Unexpected token/],
    ['imports what is not there', `import 'not-there';`, /^Cannot find package 'not-there'/],
    ['ends the process', `process.exit(3);`, /^it ends the thread that loads it \(code 3\)$/],
    ['waits for ever', `await new Promise(() => {});`, /^it ends the thread that loads it/],
    [
      'rejects a promise that nobody looks at',
      `Promise.reject(new Error('later')); await new Promise((r) => setTimeout(r, 500));`,
      /^later$/,
    ],
    ['exports nothing', `export const answer = 42;`, /^it exports no encap/],
    [
      'exports half an encap',
      `export const mine = { name: 'mine', nodes: () => [] };`,
      /^encap mine: summary is missing/,
    ],
    ['states no version', encap('api: undefined,'), /^encap mine: api is missing: must be 1/],
    [
      'was made for another version',
      encap('api: 2,'),
      /^encap mine: it was made for version 2 .*this lbd has version 1/,
    ],
    ['throws in allocate', encap(`allocate() { throw new Error('no room'); },`), /^no room$/],
    ['allocates more than there is', encap(`allocate: (arena) => arena.allocate('all', 2 ** 31),`), /^no room for all/],
    [
      'allocates functions',
      encap('allocate: () => ({ f() {} }),'),
      /allocate\(\) returns what can't be sent to workers/,
    ],
    ['has a schema that throws', encap(schema(`() => { throw new Error('bad schema'); }`)), /^bad schema$/],
    [
      'refuses its options',
      encap(schema(`() => ({ issues: [{ message: 'ttl is missing' }] })`)),
      /^encaps.mine: ttl is missing/,
    ],
    ['declares no list', encap(`nodes: () => ({}),`), /^encap mine: nodes\(\) returns object: must be a list of nodes/],
    ['has no node of its name', withNode(`name: 'other'`), /nodes\(\) has no node mine/],
    ['does not use the fan-out dpo', withNode(`fanOut: undefined`), /node mine: fanOut undefined: must be dpo/],
    ['declares an input', withNode(`kind: 'input'`), /node mine: kind must be internal/],
    ['has a field that does not exist', withNode(`nexts: []`), /node mine: nexts must be one of name, kind,/],
    [
      'names a next node that is not there',
      withNode(`next: ['drip']`),
      /node mine names node drip, which nobody declared/,
    ],
    ['names a next node twice', withNode(`next: ['drop', 'drop']`), /next must be a list without a name twice/],
    [
      'takes the name of another node',
      encap(`nodes: () => [${node}, { ...${node}, name: 'ip4-input' }],`),
      /node ip4-input is declared twice/,
    ],
    [
      'has a counter without a meaning',
      withNode(`counters: { n: 1 }`),
      /counters must be names, each with what it means/,
    ],
    ['asks for too much data', withNode(`dataBytes: 1e9`), /dataBytes must be 0 to/],
    ['throws in init', withNode(`init() { throw new Error('no init'); }`), /^no init$/],
    ['has a loop that is async', withNode(`process: async () => 0`), /process must be a function that is not async/],
    ['has no loop', withNode(`process: 7`), /process must be a function, or a kernel/],
    ['has an express node that is not its own', encap(`express: 'frob',`), /express: node frob is not one of its own/],
    [
      'has features that are not its own',
      encap(`features: [{ arc: 'ip4-unicast', node: 'frob' }],`),
      /features: node frob is not one of its own/,
    ],
    [
      'has shortcuts that are not its own',
      encap(`shortcuts: [{ node: 'frob', instead: 'ethernet-input' }],`),
      /shortcuts: node frob is not one of its own/,
    ],
    [
      'has a shortcut that does not lead on',
      encap(`shortcuts: [{ node: 'mine', instead: 'ethernet-input' }],`),
      /shortcut mine is instead of ethernet-input: it must be a next node/,
    ],
    ['stands for what is no name', withNode(`standsFor: [7]`), /standsFor must be a list of names/],
    [
      'has features on an arc that is not there',
      encap(`features: [{ arc: 'ip5', node: 'mine' }],`),
      /arc ip5, which nobody declared/,
    ],
    [
      'declares other nodes each time',
      encap(`nodes: () => [{ ...${node}, dataBytes: 4 + Math.floor(Math.random() * 1e5) }],`),
      /nodes\(\) returns something else each time/,
    ],
    ['has no kernels', withNode(`process: ${kernel('absent')}`), /absent.*can't be read: ENOENT/],
    [
      'has kernels that are none',
      withNode(`process: { module: new URL(import.meta.url), export: 'mine' }`),
      /are no WebAssembly/,
    ],
    [
      'has a kernel that imports',
      withNode(`process: ${kernel('imports')}`),
      /import function env.log: nothing but the memory/,
    ],
    [
      'names a kernel that is not there',
      withNode(`process: { ...${kernel('mine')}, export: 'yours' }`),
      /does not export yours/,
    ],
    ['has a kernel that traps at once', withNode(`process: ${kernel('traps')}`), /^unreachable$/],
    ['has a kernel of another kind', withNode(`process: ${kernel('long')}`), /returns bigint: must be a slot/],
    ['has a control side that throws', encap(`control() { throw new Error('no control'); },`), /^no control$/],
    ['shows what is no text', encap(`show: () => 7,`), /show\(\) returns number: must be text/],
  ])('%s', async (_, source, reason) => expect(await refusal(source)).toMatch(reason));

  it.each([
    ['when it is imported', 'for (;;) {}'],
    ['in allocate', encap('allocate() { for (;;) {} },')],
    ['in its kernel', withNode(`process: ${kernel('loops')}`)],
    ['waiting for a word that never changes', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);'],
    ['waiting on a timer', 'await new Promise(() => setInterval(() => {}, 1000));'],
  ])('loops %s', async (_, source) => {
    expect(await refusal(source, 1500)).toBe('it was not loaded within 1.5 s: does it loop, or wait for ever?');
  });

  it('does not like what the configuration says', async () => {
    const source = encap(
      schema(`({ ttl }) => (ttl === 7 ? { issues: [{ message: 'not 7', path: ['ttl'] }] } : { value: {} })`),
    );
    expect(await refusal(source, 10_000, { mine: { ttl: 7 } })).toBe('encaps.mine.ttl: not 7');
    expect(await refusal(source, 10_000, { mine: { ttl: 8 } })).toBe('');
  });
});

it('a package that is not there is named', async () => {
  const probed = probePlugin({ plugin: 'lbd-encap-absent', options: {}, memory: MEMORY });
  await expect(probed).rejects.toThrow(/^plugin lbd-encap-absent is refused: Cannot find package 'lbd-encap-absent'/);
});
