import type { Memory } from '@lbd/memory';
import { GraphError } from './errors.ts';
import type { LinkedNode } from './graph.ts';
import type { GraphLayout, WorkerLayout } from './graph-memory.ts';
import type { NodeContext } from './node.ts';
import { PacketView } from './packet-view.ts';

/** What a TypeScript node is given: the counterpart of assembly/abi.ts. */
export function makeContext(
  memory: Memory,
  layout: GraphLayout,
  worker: WorkerLayout,
  node: LinkedNode,
  post: (message: unknown) => void,
): NodeContext {
  const { name, next = [], counters = {} } = node.declaration;
  const view = new PacketView(memory, layout.frames, layout.metadata);
  const counterNames = Object.keys(counters);
  const counterIndex = (counter: string): number => {
    const place = counterNames.indexOf(counter);
    if (place < 0) throw new GraphError('LBD_GRAPH_UNKNOWN', `node ${name} declares no counter "${counter}"`);
    return node.firstCounter + place;
  };
  return {
    memory,
    node: worker.nodes[node.index]!,
    worker: worker.block,
    packet: (buffer) => view.at(buffer),
    slot(to) {
      const slot = next.indexOf(to);
      if (slot < 0) throw new GraphError('LBD_GRAPH_UNKNOWN', `node ${name} declares no next node "${to}"`);
      return slot;
    },
    reason(packet, counter) {
      packet.reason = counterIndex(counter);
    },
    count(counter, n = 1) {
      memory.u64[(worker.counters >>> 3) + counterIndex(counter)]! += BigInt(n);
    },
    post,
  };
}
