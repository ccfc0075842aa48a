import { Graph } from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { adviseHugePages } from '@lbd/native';
import { generatorNode, Pool, sinkNode } from './nodes.ts';
import type { Turn } from './reference.ts';
import { BUFFERS, type NodeCost, Rig } from './rig.ts';
import { makeTemplates } from './templates.ts';

/** The C reference takes the best of as many slices. */
const SLICES = 5;

/** A graph turn says what each node took, too. */
export interface GraphTurn extends Turn {
  readonly nodes: readonly NodeCost[];
}

/** A generator, a path and a sink; and a generator and a sink alone, to know what they take. */
export class GraphPath {
  readonly #all: Rig;
  readonly #alone: Rig;

  private constructor(all: Rig, alone: Rig) {
    this.#all = all;
    this.#alone = alone;
  }

  /** @param flows a power of two */
  static async create(flows: number, build: (arena: Arena, pool: Pool) => Promise<Rig>): Promise<GraphPath> {
    const arena = Arena.create();
    adviseHugePages(arena.memory.u8);
    const templates = makeTemplates(arena, flows);
    const pool = () => new Pool(arena, BUFFERS, templates, flows);
    const short = pool();
    const alone = await Rig.create(arena, new Graph().add(generatorNode(short, 'bench-sink'), sinkNode(short)), short);
    const path = new GraphPath(await build(arena, pool()), alone);
    // Twice through all flows, so that each is known, and long enough for the compiler to have settled.
    path.#all.pass(2 * flows + 1_000_000);
    path.#alone.pass(1_000_000);
    return path;
  }

  /** Generator alone and everything, in turn; the best of the slices of each. */
  turn(milliseconds: number): GraphTurn {
    let generatorNs = Number.POSITIVE_INFINITY;
    let all = Number.POSITIVE_INFINITY;
    let nodes: readonly NodeCost[] = [];
    for (let i = 0; i < SLICES; i++) {
      generatorNs = Math.min(generatorNs, this.#alone.run(milliseconds / SLICES / 2));
      let ns = 0;
      const costs = this.#all.profile(() => {
        ns = this.#all.run(milliseconds / SLICES / 2);
      });
      if (ns >= all) continue;
      all = ns;
      nodes = costs;
    }
    return { ns: all - generatorNs, generatorNs, nodes };
  }
}
