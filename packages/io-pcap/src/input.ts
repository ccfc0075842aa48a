import { FRAME_BYTES, FRAME_HEADROOM, FreeStack, type NodeContext, type NodeDeclaration } from '@lbd/graph';
import { countReceiveDrops, countReceived, type PortInfo } from '@lbd/io';
import { stateOf } from './worker-state.ts';

/** Longest packet that a frame has room for. */
export const MAX_FRAME = FRAME_BYTES - FRAME_HEADROOM;

/** Takes packets from the input files of all ports, in the order of their timestamps. */
export function inputNode(ports: readonly PortInfo[]): NodeDeclaration {
  const names = new Map(ports.map(({ index, name }) => [index, name]));
  return {
    name: 'pcap-input',
    kind: 'input',
    next: ['ethernet-input'],
    counters: {
      'too big': `a captured packet has more than ${MAX_FRAME} bytes`,
      'no buffer': 'the worker had no free buffer; the packet waits in its file',
    },
    process: receive,
    trace: (packet) => `pcap-input: ${names.get(packet.rx)}, ${packet.length} bytes`,
  };
}

function receive(context: NodeContext, vector: Uint32Array, room: number): number {
  const { memory, worker } = context;
  const state = stateOf(context);
  const free = new FreeStack(memory.u32, worker);
  const most = Math.min(room, state.vector);
  state.polled();
  let n = 0;
  while (n < most) {
    const source = state.earliest(n > 0);
    if (!source) break;
    const { index, packet } = source;
    const { length } = packet.bytes;
    if (length > MAX_FRAME) {
      source.take();
      context.count('too big');
      countReceiveDrops(memory, worker, index, 1);
      continue;
    }
    if (free.count === 0) {
      context.count('no buffer');
      break;
    }
    const buffer = free.pop();
    const view = context.packet(buffer);
    view.received(index, FRAME_HEADROOM, length);
    memory.u8.set(packet.bytes, view.address);
    state.setTime(buffer, packet.time);
    countReceived(memory, worker, index, 1, length);
    vector[n++] = buffer;
    source.take();
  }
  return n;
}
