import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEncap } from './create.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'lbd-create-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

it('writes a package with its name in all the places', () => {
  const folder = join(home, 'lbd-encap-nsh-over-udp');
  const files = createEncap(folder);
  expect(files).toContain('assembly/nsh-over-udp.ts');
  expect(files).toContain('.gitignore');
  const text = (file: string) => readFileSync(join(folder, file), 'utf8');
  for (const file of files) expect(text(file), file).not.toMatch(/my-encap|myEncap|my_encap|LBD_VERSION/);
  expect(JSON.parse(text('package.json'))).toMatchObject({ name: 'lbd-encap-nsh-over-udp' });
  expect(text('src/index.ts')).toContain('export const nshOverUdp = defineEncap({');
  expect(text('assembly/index.ts')).toBe("export { nsh_over_udp } from './nsh-over-udp';\n");
  // The suite in three lines.
  expect(text('src/conformance.test.ts').match(/^.+$/gm)).toHaveLength(3);
});

it('asks for exact versions, those that this package was made with', () => {
  const folder = join(home, 'exact');
  createEncap(folder);
  const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const root = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'));
  const { peerDependencies, devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const [name, version] of Object.entries({ ...peerDependencies, ...devDependencies })) {
    expect(version, name).toBe(name.startsWith('@lbd/') ? own.version : root.devDependencies[name]);
  }
});

it('refuses names that are none, and folders that are taken', () => {
  expect(() => createEncap(join(home, 'My Encap'))).toThrow('encap name "My Encap": must be in kebab case');
  createEncap(join(home, 'twice'));
  expect(() => createEncap(join(home, 'twice'))).toThrow('is there already, and not empty');
});

it('takes the packages from tarballs', () => {
  const tarballs = mkdtempSync(join(home, 'tarballs-'));
  for (const name of ['lbd-1.2.3.tgz', 'lbd-io-af-xdp-1.2.3.tgz']) writeFileSync(join(tarballs, name), '');
  createEncap(join(home, 'packed'), { tarballs });
  const { devDependencies } = JSON.parse(readFileSync(join(home, 'packed/package.json'), 'utf8'));
  expect(devDependencies).toMatchObject({
    lbd: `file:${tarballs}/lbd-1.2.3.tgz`,
    '@lbd/io-af-xdp': `file:${tarballs}/lbd-io-af-xdp-1.2.3.tgz`,
  });
});
