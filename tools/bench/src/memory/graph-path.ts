import { Graph } from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { adviseHugePages } from '@lbd/native';
import type { Case } from './cases.ts';
import { generatorNode, Pool, sinkNode } from './nodes.ts';
import { buildPath } from './path.ts';
import type { Turn } from './reference.ts';
import { BUFFERS, type NodeCost, Rig } from './rig.ts';
import { Templates } from './templates.ts';

/** The C reference takes the best of as many slices. */
const SLICES = 5;
/** New flows come in portions, each this many milliseconds. */
const RENEW_MS = 5;
const MEMORY_BYTES = 3 * 2 ** 30;

/** A graph turn says what each node took, too. */
export interface GraphTurn extends Turn {
  readonly nodes: readonly NodeCost[];
}

/** A generator, a path and a sink; and a generator and a sink alone, to know what they take. */
export class GraphPath {
  readonly #all: Rig;
  readonly #alone: Rig;
  readonly #templates: Templates;

  private constructor(all: Rig, alone: Rig, templates: Templates) {
    this.#all = all;
    this.#alone = alone;
    this.#templates = templates;
  }

  /** @param flows a power of two */
  static async create(of: Case, flows: number): Promise<GraphPath> {
    const arena = Arena.create(MEMORY_BYTES);
    adviseHugePages(arena.memory.u8);
    const templates = new Templates(arena, flows, of.vipFamily, of.vips);
    const pool = () => new Pool(arena, BUFFERS, templates.address, flows);
    const short = pool();
    const alone = await Rig.create(arena, new Graph().add(generatorNode(short, 'bench-sink'), sinkNode(short)), short);
    const path = new GraphPath(await buildPath(arena, pool(), of, templates), alone, templates);
    // Twice through all flows, so that each is known, and long enough for the compiler to have settled.
    path.#all.pass(2 * flows + 1_000_000);
    path.#alone.pass(1_000_000);
    return path;
  }

  /**
   * Generator alone and everything, in turn; the best of the slices of each.
   * @param renewed the part of the flows that ends each second, others beginning in their place
   */
  turn(milliseconds: number, renewed = 0): GraphTurn {
    let generatorNs = Number.POSITIVE_INFINITY;
    let all = Number.POSITIVE_INFINITY;
    let nodes: readonly NodeCost[] = [];
    for (let i = 0; i < SLICES; i++) {
      generatorNs = Math.min(generatorNs, this.#alone.run(milliseconds / SLICES / 2));
      let ns = 0;
      const costs = this.#all.profile(() => {
        ns = this.#run(milliseconds / SLICES / 2, renewed);
      });
      if (ns >= all) continue;
      all = ns;
      nodes = costs;
    }
    return { ns: all - generatorNs, generatorNs, nodes };
  }

  /** Nanoseconds per packet. Renewing flows is not in them. */
  #run(milliseconds: number, renewed: number): number {
    if (renewed === 0) return this.#all.run(milliseconds);
    const portions = Math.max(1, Math.round(milliseconds / RENEW_MS));
    const flows = Math.max(1, Math.round((this.#templates.flows * renewed * RENEW_MS) / 1000));
    let sum = 0;
    for (let i = 0; i < portions; i++) {
      this.#templates.renew(flows);
      sum += this.#all.run(milliseconds / portions);
    }
    return sum / portions;
  }
}
