import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { notify } from './systemd.ts';

let folder: string;
const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lbd-notify-'));
  vi.stubEnv('NOTIFY_SOCKET', join(folder, 'notify'));
  vi.stubEnv('PATH', folder);
  warn.mockClear();
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});
const program = (script: string) => {
  writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'systemd-notify'), 0o755);
};

it('says it by the program of systemd', () => {
  program(`echo "$@" >> ${folder}/said`);
  notify('READY=1');
  expect(readFileSync(join(folder, 'said'), 'utf8')).toBe('READY=1\n');
  expect(warn).not.toHaveBeenCalled();
});

it('warns if that is not there, or fails', () => {
  notify('READY=1');
  program('exit 3');
  notify('STOPPING=1');
  expect(warn.mock.calls.map(([text]) => text)).toEqual([
    expect.stringMatching(/READY=1.*ENOENT/),
    expect.stringMatching(/STOPPING=1: exit code 3/),
  ]);
});

it('says nothing unless it is asked to', () => {
  vi.stubEnv('NOTIFY_SOCKET', '');
  notify('READY=1');
  expect(warn).not.toHaveBeenCalled();
});
