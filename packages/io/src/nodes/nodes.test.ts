import { Graph } from '@lbd/graph';
import { TestBench } from '@lbd/graph/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InterfaceTable } from '../interface-table.ts';
import { interfaceOutputNode, OUTPUT } from './interface-output.ts';
import { PUNT, puntNode } from './punt.ts';

const frame = new Uint8Array(60);

/** Interfaces 0 and 1 on drivers 0 and 1, interface 2 on driver 1 and down. */
async function bench(into: string, fanOut: string, node: typeof puntNode) {
  const graph = new Graph().add(node);
  graph.fanOut(fanOut, 'sink', 'second');
  const made = await TestBench.create(graph, into, { reach: ['second'] });
  const table = new InterfaceTable(made.arena.memory, made.layout.interfaces);
  table.add({ name: 'a', up: true, driver: 0 });
  table.add({ name: 'b', up: true, driver: 1 });
  table.add({ name: 'c', up: false, driver: 1 });
  return made;
}

describe('interface-output', () => {
  it('hands a packet to the driver of its interface, and drops what has none', async () => {
    const made = await bench('interface-output', OUTPUT, interfaceOutputNode);
    const where = ['sink', 'second', undefined];
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(2), fc.integer({ min: 3, max: 0xffff })), { maxLength: 600 }), (txs) => {
        const before = made.counters('interface-output');
        for (const tx of txs) made.inject(frame, 0, (packet) => Object.assign(packet, { tx }));
        const sent = made.run();
        expect(sent.map(({ node, tx }) => [node, tx]).sort()).toEqual(
          txs.flatMap((tx) => (where[tx] ? [[where[tx], tx]] : [])).sort(),
        );
        const after = made.counters('interface-output');
        const added = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
        expect(added('no interface')).toBe(txs.filter((tx) => tx >= 64).length);
        expect(added('interface down')).toBe(txs.filter((tx) => tx >= 2 && tx < 64).length);
      }),
      { numRuns: 50 },
    );
  });
});

describe('punt', () => {
  it('hands a packet back to the driver it came from, and counts why', async () => {
    const made = await bench('punt', PUNT, puntNode);
    const random = (i: number) => (i * 7919) % 3;
    const trapped = made.graph.byName.get('punt')!.failures;
    for (let i = 0; i < 500; i++)
      made.inject(frame, random(i), (packet) => Object.assign(packet, { reason: trapped + (i < 400 ? 0 : 1) }));
    const sent = made.run();
    expect(sent).toHaveLength(500);
    for (const { node, rx } of sent) expect(node).toBe(rx === 0 ? 'sink' : 'second');
    expect(made.counters('punt')).toEqual({ trapped: 400, 'bad next': 100 });
  });
});
