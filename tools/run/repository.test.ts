// What must be true of the repository as a whole, so that every package is fit to be published.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { describe, expect, it } from 'vitest';
import { workspaceFolders } from './bootstrap.mjs';
import { CHECKS, check } from './check.mjs';
import { ROOT } from './process.mjs';

const run = promisify(execFile);

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly description?: string;
  readonly license?: string;
  readonly type?: string;
  readonly engines?: { readonly node?: string };
  readonly exports?: Record<string, { readonly types?: string; readonly default?: string } | string>;
  readonly files?: readonly string[];
  readonly bin?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
}

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const root = JSON.parse(read('package.json')) as Manifest;
const packages = (workspaceFolders() as string[]).map((folder) => ({
  folder,
  manifest: JSON.parse(read(`${folder}/package.json`)) as Manifest,
}));
const published = packages.filter(({ manifest }) => !manifest.private).map((p) => ({ ...p, name: p.manifest.name }));

describe.each(published)('$name', ({ folder, manifest, name }) => {
  it('says what it is, under which licence, for which Node', () => {
    expect(manifest).toMatchObject({ license: 'Apache-2.0', type: 'module', engines: { node: '>=20' } });
    expect(manifest.description?.length).toBeGreaterThan(20);
  });

  it('exports files that the build has made, with types, and no more of itself than that', () => {
    expect(manifest.exports).toHaveProperty('.');
    for (const target of Object.values(manifest.exports!)) {
      for (const file of typeof target === 'string' ? [target] : Object.values(target)) {
        if (!file.includes('*')) expect(existsSync(join(ROOT, folder, file)), file).toBe(true);
      }
    }
    expect(manifest.exports!['.']).toMatchObject({ types: './dist/index.d.ts', default: './dist/index.js' });
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'README.md', '!src/**/*.test.ts']));
    for (const file of Object.values(manifest.bin ?? {})) expect(existsSync(join(ROOT, folder, file)), file).toBe(true);
    const kernels = existsSync(join(ROOT, folder, 'assembly/index.ts'));
    if (kernels) {
      expect(manifest.files).toContain('assembly');
      expect(existsSync(join(ROOT, folder, 'dist/kernels.wasm'))).toBe(true);
    }
  });

  it('has a README with its name, how to install it, an example, and its limits', () => {
    const readme = read(`${folder}/README.md`);
    expect(readme).toMatch(new RegExp(`^# ${name}\n`));
    expect(readme).toMatch(new RegExp(`npm install (--global )?${name}\\b`));
    expect(readme).toMatch(/```(ts|js|sh|yaml)\n/);
    expect(readme).toMatch(/not supported/i);
    const [example = ''] = /```(?:ts|js)\n.*?```/s.exec(readme) ?? [];
    const installed = [...readme.matchAll(/^ {4}npm install (.*)/gm)].flatMap(([, names]) => names!.split(' '));
    for (const [, from] of example.matchAll(/ from '((?:@lbd\/)?[a-z-]+)'/g)) expect(installed).toContain(from);
  });

  it('pins what it depends on, and depends on what is published', () => {
    for (const [dependency, version] of Object.entries(manifest.dependencies ?? {})) {
      const own = packages.find((p) => p.manifest.name === dependency);
      if (own) expect(version).toBe('workspace:*');
      else expect(version, dependency).toMatch(/^\d+\.\d+\.\d+$/);
      expect(own?.manifest.private ?? false, `${dependency} is private`).toBe(false);
    }
  });

  it('imports only what it declares', () => {
    const { dependencies = {}, peerDependencies = {}, devDependencies = {} } = manifest;
    const own = { ...dependencies, ...peerDependencies };
    for (const file of sources(join(folder, 'src'))) {
      const test = file.endsWith('.test.ts') || file.endsWith('testing.ts');
      for (const [, from] of read(file).matchAll(/^(?:import|export)\s(?:[^'";]*?\sfrom\s)?'([^'.][^']*)'/gm)) {
        const module = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0];
        if (module.startsWith('node:') || module === name) continue;
        if (test && module in root.devDependencies!) continue;
        const allowed = test ? { ...own, ...devDependencies } : own;
        expect(Object.keys(allowed), `${file} imports ${from}`).toContain(module);
      }
    }
  });

  it('has a change waiting to be released, or has been released', () => {
    const changes = readdirSync(join(ROOT, '.changeset'))
      .filter((file) => file.endsWith('.md'))
      .map((file) => read(`.changeset/${file}`));
    const waiting = changes.some((text) => new RegExp(`^['"]${name}['"]: (major|minor|patch)$`, 'm').test(text));
    expect(waiting || manifest.version !== '0.0.0').toBe(true);
  });

  it('passes publint', async () => {
    const { messages } = await publint({ pkgDir: join(ROOT, folder), strict: true, pack: false });
    const said = messages.map((message) => formatMessage(message, manifest as never, { color: false }));
    expect(said).toEqual([]);
  });
});

/** TypeScript files below a folder, relative to the root. */
function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
}

/** Of the environment, or of a template. */
const NO_CODES = new Set(['LBD_VERSION', 'LBD_SOCKET', 'LBD_STALL_SECONDS']);

describe('the repository', () => {
  it.each(CHECKS)('$name', { timeout: 300_000 }, async ({ command }) => {
    const { code, output } = await check(command);
    expect(code, output).toBe(0);
  });

  it('names every package in the README', () => {
    const readme = read('README.md');
    for (const { folder } of packages) expect(readme, folder).toContain(`(${folder})`);
  });

  it('says in the READMEs which codes errors have, and no others', () => {
    const quoted = (text: string) => [...text.matchAll(/['`](LBD_[A-Z_]+)['`]/g)].map(([, code]) => code!);
    const thrown = new Set<string>();
    const named = new Set<string>();
    for (const { folder } of published) {
      const files = sources(join(folder, 'src')).filter((file) => !file.endsWith('.test.ts'));
      const own = files.flatMap((file) => quoted(read(file)));
      const readme = read(`${folder}/README.md`);
      // `LBD_LB_VIP_EXISTS`, `_NO_VIP`, ...
      const endings = [...readme.matchAll(/`(_[A-Z_]+)`/g)].map(([, ending]) => ending!);
      for (const code of own) thrown.add(code);
      for (const code of quoted(readme)) named.add(code);
      for (const code of own) if (endings.some((ending) => code.endsWith(ending))) named.add(code);
    }
    const codes = (all: Set<string>) => [...all].filter((code) => !NO_CODES.has(code)).sort();
    expect(codes(named)).toEqual(codes(thrown));
  });

  it('has no dead links in its documents', async () => {
    const { stdout } = await run('git', ['ls-files', '--', '*.md'], { cwd: ROOT });
    for (const document of stdout.split('\n').filter((path) => path && existsSync(join(ROOT, path)))) {
      for (const [, target] of read(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
        expect(existsSync(join(ROOT, document, '..', target)), `${document} links to ${target}`).toBe(true);
      }
    }
  });

  it('releases all packages under one version, which is what the template of encaps asks for', () => {
    expect(JSON.parse(read('.changeset/config.json')).fixed).toEqual([['lbd', '@lbd/*']]);
    expect([...new Set(published.map(({ manifest }) => manifest.version))]).toHaveLength(1);
  });

  it('pins the tools it is built with', () => {
    for (const [name, version] of Object.entries(root.devDependencies!))
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
