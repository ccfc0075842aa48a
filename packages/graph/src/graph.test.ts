import { Arena } from '@lbd/memory';
import { describe, expect, it } from 'vitest';
import { Graph } from './graph.ts';
import { allocateGraph, FeatureTable } from './graph-memory.ts';
import { FEATURE_STRIDE, MAX_INTERFACES, NODE_ARC, NODE_ARC_END } from './layout.ts';
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
    expect(() => new Graph().shortcut(shortcut).shortcut({ node: 'shorter', instead: 'drop' })).toThrow(
      'shortcut shorter: short gets the packets for drop already',
    );
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
});
