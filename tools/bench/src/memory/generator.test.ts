import { Graph, type NodeDeclaration } from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { expect, it } from 'vitest';
import { generatorNode, Pool, sinkNode } from './nodes.ts';
import { BUFFERS, Rig } from './rig.ts';
import { Templates } from './templates.ts';

const FLOWS = 1024;
const SOURCE = 14 + 12;

interface Seen {
  readonly buffer: number;
  readonly bytes: Uint8Array;
}

/** A generator, a node that looks at what passes (and drops what it is told to), and a sink. */
async function make(drop: (n: number) => boolean = () => false) {
  const arena = Arena.create(32 * 1024 * 1024);
  const pool = new Pool(arena, BUFFERS, new Templates(arena, FLOWS).address, FLOWS);
  const seen: Seen[] = [];
  const look: NodeDeclaration = {
    name: 'look',
    next: ['bench-sink', 'drop'],
    process(context, vector, count, nexts) {
      for (let i = 0; i < count; i++) {
        const { bytes, buffer } = context.packet(vector[i]!);
        nexts[i] = drop(seen.length) ? 1 : 0;
        seen.push({ buffer, bytes: new Uint8Array(bytes) });
      }
      return -1;
    },
  };
  const rig = await Rig.create(arena, new Graph().add(generatorNode(pool, 'look'), look, sinkNode(pool)), pool);
  return { rig, seen };
}

it('makes a valid 64-byte packet for each flow in turn', async () => {
  const { rig, seen } = await make();
  rig.pass(2 * FLOWS);
  expect(seen).toHaveLength(2 * FLOWS);
  const flows = seen.map(({ bytes }) => new DataView(bytes.buffer).getUint32(SOURCE) - 0x01000000);
  expect(flows).toEqual(Array.from({ length: 2 * FLOWS }, (_, i) => i % FLOWS));
  for (const { bytes } of seen) {
    expect(bytes).toHaveLength(64);
    const words = Array.from({ length: 10 }, (_, i) => new DataView(bytes.buffer).getUint16(14 + 2 * i));
    expect(words.reduce((a, b) => a + b) % 0xffff).toBe(0);
  }
});

it('goes round all buffers', async () => {
  const { rig, seen } = await make();
  rig.pass(2 * BUFFERS);
  const round = (from: number) => seen.slice(from, from + BUFFERS).map(({ buffer }) => buffer);
  expect(new Set(round(0)).size).toBe(BUFFERS);
  expect(round(BUFFERS)).toEqual(round(0));
});

it('does not take a drop for a packet forwarded', async () => {
  const { rig } = await make((n) => n === 7);
  expect(() => rig.pass(256)).toThrow(/256 packets went in and 255 came out; counters: graph: no reason 1/);
});
