// Tables whose size goes by the memory must leave room for the others: any size that the configuration allows must do.
import { writeFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { Captures } from './testing/captures.ts';

const captures = new Captures();
afterAll(() => captures.remove());

function start(memory: number, workers: number, buffers: number) {
  captures.writeRequests([], 0);
  const file = captures.path('lbd.yaml');
  const interfaces = [{ name: 'wan0', driver: 'pcap', in: captures.path('in.pcap'), out: captures.path('out.pcap') }];
  writeFileSync(file, JSON.stringify({ memory: `${memory}MiB`, workers, buffers, interfaces }));
  return captures.run('lbd', ['replay', '--config', file]);
}

it.each([
  [1, 1024],
  [1, 16384],
  [4, 4096],
])(
  '%i workers with %i buffers start with the least memory that is allowed',
  async (workers, buffers) => {
    const refused = await start(64, workers, buffers);
    const least = refused.code === 0 ? 64 : Number(/memory: .* must be (\d+)MiB or more/.exec(refused.stderr)![1]);
    expect(await start(least, workers, buffers)).toMatchObject({ code: 0, stderr: '' });
    const less = await start(least - 1, workers, buffers);
    expect(less.code).toBe(1);
    expect(less.stderr).toMatch(/memory: .* (must be|from 64MiB)/);
  },
  30_000,
);

it.each([
  [128, 1],
  [512, 8],
  [1024, 16],
])(
  '%i MiB do for %i workers',
  async (memory, workers) => {
    expect(await start(memory, workers, 16384)).toMatchObject({ code: 0, stderr: '' });
  },
  30_000,
);
