// Installs the packages as somebody would who has nothing but npm, and runs the first example of each README.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../process.mjs';
import { install, packAll, publishedPackages } from './support/packed.ts';

const run = promisify(execFile);
const MINUTE = 60_000;

const packages = publishedPackages();

describe('the packages, installed from their tarballs outside of the repository', () => {
  let home: string;
  let tarballs: Map<string, string>;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'lbd-pack-'));
    const project = join(home, 'project');
    mkdirSync(project);
    tarballs = await packAll(join(home, 'tarballs'));
    writeFileSync(join(project, 'in.pcap'), capture());
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
    await install(project, tarballs.values());
  }, 10 * MINUTE);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  const node = (...args: string[]) => run(process.execPath, args, { cwd: join(home, 'project'), timeout: MINUTE });

  it.each(packages.map(({ name }) => name))('%s: its tarball has what it needs, and no tests', async (name) => {
    const { stdout } = await run('tar', ['--list', '--file', tarballs.get(name)!]);
    const files = stdout.trim().split('\n');
    expect(files).toEqual(expect.arrayContaining(['package/package.json', 'package/README.md', 'package/LICENSE']));
    // Whatever package.json says, a file named README.anything is packed, in any folder. The template's tests are for who uses it.
    const tests = /^package\/(?!template\/).*(\.test\.|\/testing\/|\.tsbuildinfo$)/;
    expect(files.filter((file) => tests.test(file))).toEqual([]);
  });

  it.each(packages.map(({ name }) => name))('%s can be imported', async (name) => {
    const script = `console.log(Object.keys(await import(${JSON.stringify(name)})).length)`;
    const { stdout } = await node('--input-type=module', '--eval', script);
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  it.each(packages.map(({ name, folder }) => [name, folder]))(
    '%s: the example of its README runs',
    async (name, folder) => {
      const readme = readFileSync(join(ROOT, folder, 'README.md'), 'utf8');
      const example = /```(?:ts|js)\n(.*?)```/s.exec(readme)?.[1];
      if (example === undefined) {
        // Those that are not for programmers have a command line to show instead.
        expect(readme, `${name} has no example`).toMatch(/```(sh|yaml)\n/);
        return;
      }
      const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      const file = join(home, 'project', `${name.replace('/', '-')}.mjs`);
      writeFileSync(file, ts.transpile(example, options));
      await node(file);
    },
  );

  it.each(packages.flatMap(({ bin = {} }) => Object.keys(bin)))('%s can be run', async (bin) => {
    const { stdout } = await run(join(home, 'project/node_modules/.bin', bin), ['--help']);
    expect(stdout).toContain(`Usage: ${bin}`);
  });
});

/** A capture of one empty Ethernet frame, for examples that read `in.pcap`: classic pcap, little-endian. */
function capture(): Buffer {
  const [fileHeader, packetHeader, frame] = [Buffer.alloc(24), Buffer.alloc(16), Buffer.alloc(60)];
  fileHeader.writeUInt32LE(0xa1b2c3d4, 0);
  fileHeader.writeUInt16LE(2, 4);
  fileHeader.writeUInt16LE(4, 6);
  fileHeader.writeUInt32LE(65535, 16);
  fileHeader.writeUInt32LE(1, 20); // Ethernet
  packetHeader.writeUInt32LE(frame.length, 8);
  packetHeader.writeUInt32LE(frame.length, 12);
  return Buffer.concat([fileHeader, packetHeader, frame]);
}
