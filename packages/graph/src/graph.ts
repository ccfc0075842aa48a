import { GraphError } from './errors.ts';
import { orderFeatures } from './features.ts';
import { FEATURE_STRIDE, GRAPH_COUNTERS, MAX_STANDS_FOR } from './layout.ts';
import type { Feature, FeatureArc, NodeDeclaration, Shortcut } from './node.ts';
import { dropNode } from './nodes/drop.ts';

/** A counter of a linked graph. Its place in {@link LinkedGraph.counters} is its graph-wide index. */
export interface Counter {
  readonly node: string;
  readonly name: string;
  readonly meaning: string;
}

/** A node with everything named resolved to indices. */
export interface LinkedNode {
  readonly declaration: NodeDeclaration;
  readonly index: number;
  /** Index of the next node, by slot. */
  readonly nexts: readonly number[];
  /** First slot of the fan-out's members. */
  readonly fanOutSlot: number;
  /** Graph-wide index of its first counter. */
  readonly firstCounter: number;
  /** Graph-wide index of the first of its FAILURE_ counters; only internal nodes have them. */
  readonly failures: number;
  /** Its place on a feature arc. */
  readonly arc?: { readonly name: string; readonly position: number; readonly slot: number };
  /** The arc that it watches, and the slot that the arc's start has for the arc's end. */
  readonly watches?: { readonly name: string; readonly endSlot: number };
  /** Features that it stands for: their nodes, and their places on the arc that it watches. */
  readonly standsFor?: ReadonlyArray<{ readonly node: string; readonly position: number }>;
  /** Of an input node: indices of the nodes that get its packets, one after the other, while none are traced. */
  readonly shortcuts?: readonly number[];
}

export interface LinkedArc {
  readonly name: string;
  /** The start, the features in order, the end. */
  readonly path: readonly string[];
}

/** A graph whose names are resolved. Threads that declare the same nodes in the same order get the same one. */
export interface LinkedGraph {
  /** In an order in which packets mostly move forward. */
  readonly nodes: readonly LinkedNode[];
  readonly byName: ReadonlyMap<string, LinkedNode>;
  readonly counters: readonly Counter[];
  readonly arcs: ReadonlyMap<string, LinkedArc>;
  readonly fanOuts: ReadonlyMap<string, readonly string[]>;
}

const OWN_COUNTERS: readonly Counter[] = [
  { node: 'graph', name: 'no reason', meaning: 'a node sent packets to drop or punt without saying why' },
];

/** Counted by the runtime for each internal node, in the order of FAILURE_. */
const FAILURE_COUNTERS: Readonly<Record<string, string>> = {
  trapped: 'dropped: the node trapped or threw while it had the packets',
  'bad next': 'dropped: the node named a next slot that it does not have',
  disabled: 'dropped: the node is disabled, since it trapped again and again',
};

/** Collects what packages declare; {@link link} makes a graph of it. Declarations may come in any order. */
export class Graph {
  readonly #nodes = new Map<string, NodeDeclaration>([[dropNode.name, dropNode]]);
  readonly #arcs = new Map<string, FeatureArc>();
  readonly #features: Feature[] = [];
  readonly #fanOuts = new Map<string, string[]>();
  /** Nodes of shortcuts, by the node that they are instead of. */
  readonly #shortcuts = new Map<string, string[]>();

  /** Adds nodes. @throws GraphError if a name is taken. */
  add(...nodes: readonly NodeDeclaration[]): this {
    for (const node of nodes) {
      if (this.#nodes.has(node.name))
        throw new GraphError('LBD_GRAPH_DUPLICATE', `node ${node.name} is declared twice`);
      this.#nodes.set(node.name, node);
    }
    return this;
  }

  /** Adds a feature arc. */
  arc(arc: FeatureArc): this {
    if (this.#arcs.has(arc.name)) throw new GraphError('LBD_GRAPH_DUPLICATE', `arc ${arc.name} is declared twice`);
    this.#arcs.set(arc.name, arc);
    return this;
  }

  /** Puts a node on a feature arc. */
  feature(feature: Feature): this {
    this.#features.push(feature);
    return this;
  }

  /** Adds nodes to a fan-out; returns the place of the first of them, which is k in slot `NODE_FANOUT + k`. */
  fanOut(name: string, ...nodes: readonly string[]): number {
    const members = this.#fanOuts.get(name) ?? [];
    this.#fanOuts.set(name, members);
    return members.push(...nodes) - nodes.length;
  }

  /** Adds a shortcut: it gets what those that were added before it do not take. @throws GraphError if it is one already */
  shortcut({ node, instead }: Shortcut): this {
    for (const [other, nodes] of this.#shortcuts) {
      if (!nodes.includes(node)) continue;
      throw new GraphError('LBD_GRAPH_DUPLICATE', `node ${node} is a shortcut instead of ${other} already`);
    }
    this.#shortcuts.set(instead, [...(this.#shortcuts.get(instead) ?? []), node]);
    return this;
  }

  /** Resolves all names. @throws GraphError naming what does not fit together. */
  link(): LinkedGraph {
    const arcs = this.#linkArcs();
    this.#checkShortcuts();
    this.#checkWatches(arcs);
    const names = this.#rank(arcs);
    const index = new Map(names.map((name, i) => [name, i]));
    const counters: Counter[] = [...OWN_COUNTERS];
    const nodes = names.map((name, i) => this.#linkNode(this.#nodes.get(name)!, i, index, arcs, counters));
    return {
      nodes,
      byName: new Map(nodes.map((node) => [node.declaration.name, node])),
      counters,
      arcs,
      fanOuts: this.#fanOuts,
    };
  }

  #checkShortcuts(): void {
    for (const [instead, nodes] of this.#shortcuts) {
      for (const name of [...nodes, instead]) this.#mustExist(name, 'a shortcut');
      for (const name of nodes) {
        if (this.#nodes.get(name)!.next?.includes(instead)) continue;
        throw new GraphError('LBD_GRAPH_INVALID', `shortcut ${name} is instead of ${instead}: it must be a next node`);
      }
    }
  }

  #checkWatches(arcs: ReadonlyMap<string, LinkedArc>): void {
    for (const { name, watches, standsFor = [] } of this.#nodes.values()) {
      if (watches !== undefined && !arcs.has(watches)) {
        throw new GraphError('LBD_GRAPH_UNKNOWN', `node ${name} watches arc ${watches}, which nobody declared`);
      }
      if (standsFor.length > (watches === undefined ? 0 : MAX_STANDS_FOR)) {
        const allowed = `${MAX_STANDS_FOR} are allowed, of the arc that it watches`;
        throw new GraphError('LBD_GRAPH_INVALID', `node ${name} stands for ${standsFor.length} features: ${allowed}`);
      }
    }
  }

  #linkArcs(): Map<string, LinkedArc> {
    const arcs = new Map<string, LinkedArc>();
    const onArc = new Map<string, string>();
    for (const feature of this.#features) {
      if (!this.#arcs.has(feature.arc)) {
        throw new GraphError(
          'LBD_GRAPH_UNKNOWN',
          `node ${feature.node} is a feature of arc ${feature.arc}, which nobody declared`,
        );
      }
    }
    for (const arc of this.#arcs.values()) {
      const features = orderFeatures(
        arc.name,
        this.#features.filter((feature) => feature.arc === arc.name),
      );
      for (const name of [arc.start, ...features]) {
        const other = onArc.get(name);
        if (other)
          throw new GraphError(
            'LBD_GRAPH_INVALID',
            `node ${name} is on arc ${other} and on ${arc.name}: one is allowed`,
          );
        onArc.set(name, arc.name);
      }
      if (features.length >= FEATURE_STRIDE) {
        throw new GraphError(
          'LBD_GRAPH_INVALID',
          `arc ${arc.name} has ${features.length} features: ${FEATURE_STRIDE - 1} are allowed`,
        );
      }
      const path = [arc.start, ...features, arc.end];
      for (const name of path) this.#mustExist(name, `arc ${arc.name}`);
      arcs.set(arc.name, { name: arc.name, path });
    }
    return arcs;
  }

  #nextNames(node: NodeDeclaration, arcs: ReadonlyMap<string, LinkedArc>) {
    const own = (node.next ?? []).map((name) => this.#afterShortcut(node.name, name));
    const fanned = node.fanOut === undefined ? [] : this.#members(node.name, node.fanOut);
    const arc = [...arcs.values()].find(({ path }) => path.slice(0, -1).includes(node.name));
    return { own, fanned, arc, names: [...own, ...fanned, ...(arc ? arc.path.slice(1) : [])] };
  }

  /** Where a node's packets for `next` go: if it is a shortcut instead of that, to the one after it, if there is one. */
  #afterShortcut(node: string, next: string): string {
    const nodes = this.#shortcuts.get(next) ?? [];
    const place = nodes.indexOf(node);
    return place < 0 ? next : (nodes[place + 1] ?? next);
  }

  #members(node: string, fanOut: string): readonly string[] {
    const members = this.#fanOuts.get(fanOut);
    if (!members)
      throw new GraphError('LBD_GRAPH_UNKNOWN', `node ${node} uses fan-out ${fanOut}, which has no members`);
    return members;
  }

  #linkNode(
    declaration: NodeDeclaration,
    index: number,
    byName: ReadonlyMap<string, number>,
    arcs: ReadonlyMap<string, LinkedArc>,
    counters: Counter[],
  ): LinkedNode {
    const { own, fanned, arc, names } = this.#nextNames(declaration, arcs);
    const kind = declaration.kind ?? 'internal';
    if (kind === 'output' && names.length > 0) {
      throw new GraphError('LBD_GRAPH_INVALID', `output node ${declaration.name} must have no next nodes`);
    }
    if (kind !== 'output' && names.length === 0) {
      throw new GraphError('LBD_GRAPH_INVALID', `${kind} node ${declaration.name} must have a next node`);
    }
    const firstCounter = counters.length;
    const failures = firstCounter + Object.keys(declaration.counters ?? {}).length;
    for (const [name, meaning] of [
      ...Object.entries(declaration.counters ?? {}),
      ...(kind === 'internal' ? Object.entries(FAILURE_COUNTERS) : []),
    ]) {
      counters.push({ node: declaration.name, name, meaning });
    }
    const shortcuts = kind === 'input' ? this.#shortcuts.get(names[0]!) : undefined;
    const { standsFor, watches } = declaration;
    const linked = {
      declaration,
      index,
      nexts: names.map((name) => byName.get(name)!),
      fanOutSlot: own.length,
      firstCounter,
      failures,
      ...(watches === undefined ? {} : { watches: this.#watched(watches, arcs) }),
      ...(standsFor === undefined ? {} : { standsFor: placesOf(standsFor, arcs.get(watches!)!) }),
      ...(shortcuts === undefined ? {} : { shortcuts: shortcuts.map((name) => byName.get(name)!) }),
    };
    if (!arc) return linked;
    if (linked.watches) {
      throw new GraphError('LBD_GRAPH_INVALID', `node ${declaration.name} is on arc ${arc.name}: it can't watch one`);
    }
    const position = arc.path.indexOf(declaration.name);
    return { ...linked, arc: { name: arc.name, position, slot: own.length + fanned.length } };
  }

  #watched(name: string, arcs: ReadonlyMap<string, LinkedArc>): { name: string; endSlot: number } {
    const arc = arcs.get(name)!;
    const { own, fanned } = this.#nextNames(this.#nodes.get(arc.path[0]!)!, arcs);
    return { name, endSlot: own.length + fanned.length + arc.path.length - 2 };
  }

  /** Node names such that each comes before its next nodes, circles apart: reverse postorder from the inputs. */
  #rank(arcs: ReadonlyMap<string, LinkedArc>): string[] {
    const seen = new Set<string>();
    const postorder: string[] = [];
    const visit = (name: string): void => {
      if (seen.has(name)) return;
      seen.add(name);
      const node = this.#nodes.get(name)!;
      const { names } = this.#nextNames(node, arcs);
      for (const next of names) this.#mustExist(next, `node ${name}`);
      for (const next of names.toReversed()) visit(next);
      postorder.push(name);
    };
    const all = [...this.#nodes.values()];
    for (const node of all.toReversed()) if (node.kind !== 'input') visit(node.name);
    for (const node of all.toReversed()) visit(node.name);
    return postorder.reverse();
  }

  #mustExist(name: string, who: string): void {
    if (!this.#nodes.has(name))
      throw new GraphError('LBD_GRAPH_UNKNOWN', `${who} names node ${name}, which nobody declared`);
  }
}

function placesOf(features: readonly string[], { path }: LinkedArc): Array<{ node: string; position: number }> {
  return features.map((node) => ({ node, position: path.slice(1, -1).indexOf(node) + 1 }));
}

if (OWN_COUNTERS.length !== GRAPH_COUNTERS) throw new Error('GRAPH_COUNTERS and OWN_COUNTERS must agree');
