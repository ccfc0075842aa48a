// The packets of test/vectors, through `lbd replay`: byte for byte what VPP made of them, and where VPP is wrong what is right.
import { existsSync, writeFileSync } from 'node:fs';
import { PcapReader } from '@lbd/io-pcap';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Captures } from './testing/captures.ts';
import { takeOut, type Vector, vectors } from './testing/vectors.ts';

describe.each(vectors())('$name', (vector) => {
  const captures = new Captures();
  let sent: string[] = [];
  let punted: string[] = [];

  beforeAll(async () => {
    const file = writeConfig(captures, vector);
    const { code, stderr } = await captures.run('lbd', ['replay', '--config', file]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    sent = frames(captures.path('out.pcap'));
    punted = frames(captures.path('punt.pcap'));
  });
  afterAll(() => captures.remove());

  for (const { title, frame, sent: expected, punted: left } of vector.packets) {
    it(title, () => {
      takeOut(sent, expected);
      if (left) takeOut(punted, [Buffer.from(frame).toString('hex')]);
    });
  }

  it('and nothing else', () => {
    expect(sent).toEqual([]);
    expect(punted).toEqual([]);
  });
});

/** One packet at a time, as VPP had them. Both interfaces write into one file, so that what leaves keeps its order. */
function writeConfig(captures: Captures, { in: port, folder, setup }: Vector): string {
  const { interfaces, neighbours, routes, commands } = setup;
  const config = {
    memory: '128MiB',
    buffers: 2048,
    interfaces: interfaces.map(({ name }) => ({
      name,
      driver: 'pcap',
      ...(name === port && { in: `${folder}in.pcap`, vector: 1 }),
      out: captures.path('out.pcap'),
      punt: captures.path('punt.pcap'),
    })),
    static: { interfaces, neighbours, routes },
    commands,
  };
  const file = captures.path('lbd.yaml');
  writeFileSync(file, JSON.stringify(config));
  return file;
}

function frames(file: string): string[] {
  if (!existsSync(file)) return [];
  return [...PcapReader.open(file)].map(({ bytes }) => Buffer.from(bytes).toString('hex'));
}
