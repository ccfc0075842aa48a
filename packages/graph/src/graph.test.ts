import { Arena } from '@lbd/memory';
import { describe, expect, it } from 'vitest';
import { Graph } from './graph.ts';
import { allocateGraph, FeatureTable } from './graph-memory.ts';
import { FEATURE_MASKS, FEATURE_STRIDE, MAX_INTERFACES, NODE_ARC, NODE_ARC_END, NODE_STANDS_FOR } from './layout.ts';
import type { NodeDeclaration } from './node.ts';

const node = (name: string, ...next: string[]): NodeDeclaration => ({ name, next, process: () => 0 });
const output = (name: string): NodeDeclaration => ({ name, kind: 'output', process: () => 0 });

describe('linking', () => {
  it('puts each node before its next nodes', () => {
    const graph = new Graph().add(node('c', 'd'), node('a', 'b', 'c'), output('d'), node('b', 'c')).link();
    expect(graph.nodes.map(({ declaration }) => declaration.name).filter((name) => name !== 'drop')).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('gives fan-out members the slots after the own next nodes, in the order they were added', () => {
    const graph = new Graph().add({ ...node('lookup', 'drop'), fanOut: 'dpo' }, output('x'), output('y'));
    expect(graph.fanOut('dpo', 'drop', 'x')).toBe(0);
    expect(graph.fanOut('dpo', 'y')).toBe(2);
    const linked = graph.link();
    const lookup = linked.byName.get('lookup')!;
    expect(lookup.fanOutSlot).toBe(1);
    expect(lookup.nexts.map((i) => linked.nodes[i]!.declaration.name)).toEqual(['drop', 'drop', 'x', 'y']);
  });

  it('refuses what does not fit together, and says what', () => {
    expect(() => new Graph().add(node('a'), node('a'))).toThrow('node a is declared twice');
    expect(() => new Graph().add(node('a', 'b')).link()).toThrow('node a names node b, which nobody declared');
    expect(() => new Graph().add(node('a')).link()).toThrow('internal node a must have a next node');
    expect(() => new Graph().add({ ...output('a'), next: ['drop'] }).link()).toThrow('must have no next nodes');
    expect(() => new Graph().add({ ...node('a'), fanOut: 'dpo' }).link()).toThrow('fan-out dpo, which has no members');
    expect(() => new Graph().feature({ arc: 'x', node: 'a' }).link()).toThrow('arc x, which nobody declared');
    expect(() => new Graph().add({ ...node('a', 'drop'), watches: 'x' }).link()).toThrow('node a watches arc x');
    const shortcut = { node: 'short', instead: 'drop' };
    expect(() => new Graph().shortcut(shortcut).link()).toThrow('a shortcut names node short, which nobody declared');
    expect(() => new Graph().shortcut(shortcut).shortcut({ node: 'short', instead: 'x' })).toThrow(
      'node short is a shortcut instead of drop already',
    );
    expect(() => new Graph().add(output('x'), node('short', 'x')).shortcut(shortcut).link()).toThrow(
      'shortcut short is instead of drop: it must be a next node',
    );
    const many = { ...node('a', 'drop'), standsFor: ['b'] };
    expect(() => new Graph().add(many).link()).toThrow('node a stands for 1 features: 4 are allowed');
  });
});

describe('feature arcs', () => {
  const arc = () =>
    new Graph()
      .add(node('in', 'drop'), node('f1', 'drop'), node('f2', 'drop'), node('f3'), output('out'))
      .arc({ name: 'ip4', start: 'in', end: 'out' })
      .feature({ arc: 'ip4', node: 'f1', runsBefore: ['f2'] })
      .feature({ arc: 'ip4', node: 'f3', runsBefore: ['f1'], runsAfter: ['not there'] })
      .feature({ arc: 'ip4', node: 'f2' });

  it('order themselves', () => {
    expect(arc().link().arcs.get('ip4')!.path).toEqual(['in', 'f3', 'f1', 'f2', 'out']);
    expect(() =>
      arc()
        .feature({ arc: 'ip4', node: 'f1', runsAfter: ['f2'] })
        .link(),
    ).toThrow();
    const circle = new Graph().add(node('in', 'drop'), node('a'), node('b'), output('out'));
    circle.arc({ name: 'x', start: 'in', end: 'out' }).feature({ arc: 'x', node: 'a', runsAfter: ['b'] });
    expect(() => circle.feature({ arc: 'x', node: 'b', runsAfter: ['a'] }).link()).toThrow('contradicts itself');
  });

  it('lead an interface through its enabled features only', () => {
    const graph = arc().link();
    const arena = Arena.create(16 * 1024 * 1024);
    const layout = allocateGraph(arena, graph, { workers: 1, buffersPerWorker: 256 });
    const table = new FeatureTable(arena.memory, graph, layout);
    const way = (interfaceIndex: number) => {
      const names = ['in'];
      for (let name = 'in'; name !== 'out'; names.push(name)) {
        const at = graph.byName.get(name)!;
        const row = (layout.arcs.ip4! >> 1) + interfaceIndex * FEATURE_STRIDE;
        name = graph.nodes[at.nexts[arena.memory.u16[row + at.arc!.position]!]!]!.declaration.name;
      }
      return names;
    };
    expect(way(MAX_INTERFACES - 1)).toEqual(['in', 'out']);
    table.set('f2', 1, true);
    table.set('f3', 1, true);
    expect(way(1)).toEqual(['in', 'f3', 'f2', 'out']);
    expect(table.enabled('ip4', 1)).toEqual(['f3', 'f2']);
    expect(way(0)).toEqual(['in', 'out']);
    table.set('f3', 1, false);
    expect(way(1)).toEqual(['in', 'f2', 'out']);
    expect(() => table.set('in', 1, true)).toThrow('not a feature');
  });

  it('tell a node that watches whether an interface has features', () => {
    const graph = arc()
      .add({ ...node('short', 'in', 'drop'), watches: 'ip4' })
      .link();
    const arena = Arena.create();
    const layout = allocateGraph(arena, graph, { workers: 1, buffersPerWorker: 256 });
    const table = new FeatureTable(arena.memory, graph, layout);
    const block = layout.workers[0]!.nodes[graph.byName.get('short')!.index]!;
    const word = (at: number) => arena.memory.u32[at >>> 2]!;
    // as hasFeatures() of assembly/abi.ts
    const has = (rx: number) => {
      const row = word(block + NODE_ARC) + rx * FEATURE_STRIDE * 2;
      return arena.memory.u16[row >>> 1] !== word(block + NODE_ARC_END);
    };
    expect([0, 1, MAX_INTERFACES - 1].map(has)).toEqual([false, false, false]);
    table.set('f1', 1, true);
    expect([0, 1, MAX_INTERFACES - 1].map(has)).toEqual([false, true, false]);
    table.set('f1', 1, false);
    expect(has(1)).toBe(false);
  });

  it('tell a node that stands for features which of them an interface has, and where they count', () => {
    const counters = { taken: 'x' };
    const graph = arc()
      .add({ ...node('f4', 'drop'), counters })
      .feature({ arc: 'ip4', node: 'f4' })
      .add({ ...node('short', 'in', 'drop'), watches: 'ip4', standsFor: ['f4', 'f1', 'not there'] })
      .link();
    const arena = Arena.create();
    const layout = allocateGraph(arena, graph, { workers: 2, buffersPerWorker: 256 });
    const table = new FeatureTable(arena.memory, graph, layout);
    const worker = layout.workers[1]!;
    const block = worker.nodes[graph.byName.get('short')!.index]!;
    const word = (at: number) => arena.memory.u32[at >>> 2]!;
    // as featuresOf(), featureBit() and countFor() of assembly/abi.ts
    const features = (rx: number) => arena.memory.u16[(word(block + NODE_ARC) + FEATURE_MASKS + rx * 2) >>> 1];
    const [f4, f1, none] = [0, 8, 16].map((at) => word(block + NODE_STANDS_FOR + at));
    expect(none).toBe(0);
    expect(f4).not.toBe(f1);
    table.set('f1', 3, true);
    table.set('f4', 3, true);
    expect([2, 3, 4].map(features)).toEqual([0, f1! | f4!, 0]);
    table.set('f2', MAX_INTERFACES - 1, true);
    expect(features(MAX_INTERFACES - 1)! & ~(f1! | f4!)).not.toBe(0);
    table.set('f1', 3, false);
    expect(features(3)).toBe(f4);
    const place = graph.counters.findIndex(({ name }) => name === 'taken');
    expect(word(block + NODE_STANDS_FOR + 4)).toBe(worker.counters + place * 8);
  });
});
