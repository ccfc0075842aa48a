import { FRAME_HEADROOM, FreeStack, type NodeContext, type NodeDeclaration } from '@lbd/graph';
import { countSent } from '@lbd/io';
import { stateOf } from './worker-state.ts';

/** Writes packets to the output file of the port that they leave on. */
export function outputNode(): NodeDeclaration {
  return {
    name: 'pcap-output',
    kind: 'output',
    process: (context, vector, count) => {
      const { memory, worker } = context;
      const state = stateOf(context);
      const free = new FreeStack(memory.u32, worker);
      for (let i = 0; i < count; i++) {
        const buffer = vector[i]!;
        const packet = context.packet(buffer);
        const { tx, rx, bytes } = packet;
        state.writerOf('out', tx)?.write(state.timeOf(buffer, rx), bytes);
        countSent(memory, worker, tx, 1, bytes.length);
        free.push(buffer);
      }
      return 0;
    },
    trace: (packet) => `pcap-output: interface ${packet.tx}, ${packet.length} bytes`,
  };
}

/** Writes packets to the punt file of the port that they came in on, from the Ethernet header on. */
export function puntNode(): NodeDeclaration {
  return {
    name: 'pcap-punt',
    kind: 'output',
    process: (context: NodeContext, vector, count) => {
      const { memory, worker } = context;
      const state = stateOf(context);
      const free = new FreeStack(memory.u32, worker);
      for (let i = 0; i < count; i++) {
        const buffer = vector[i]!;
        const packet = context.packet(buffer);
        packet.length += packet.data - FRAME_HEADROOM;
        packet.data = FRAME_HEADROOM;
        state.writerOf('punt', packet.rx)?.write(state.timeOf(buffer, packet.rx), packet.bytes);
        free.push(buffer);
      }
      return 0;
    },
    trace: (packet) => `pcap-punt: interface ${packet.rx}`,
  };
}
