import {
  FRAME_BYTES,
  FRAME_HEADROOM,
  FreeStack,
  type NodeContext,
  type NodeDeclaration,
  type PacketView,
} from '@lbd/graph';
import { bpfTestRun } from '@lbd/native';
import { workers } from './worker.ts';
import { puntPrefix } from './xdp-program.ts';

/**
 * Gives packets to the kernel as if they had just arrived on their interface: a test run of an XDP program that passes
 * everything, with live frames (Linux 5.18). In native mode the frame goes up the stack behind the XDP hook. In generic
 * mode the hook comes after that point, and our own program would take the packet again; so the frame carries a prefix
 * that the program knows and takes off.
 *
 * AF_XDP receives at FRAME_HEADROOM in a frame, always: that is where the Ethernet header is, whatever is the current one.
 */
export const puntNode: NodeDeclaration = {
  name: 'af_xdp-punt',
  kind: 'output',
  counters: {
    punted: 'given to the kernel',
    'punt failed': 'the kernel did not take the packet back',
  },
  process(context, vector, count) {
    const free = new FreeStack(context.memory.u32, context.worker);
    let punted = 0;
    for (let i = 0; i < count; i++) {
      if (punt(context, context.packet(vector[i]!))) punted++;
      free.push(vector[i]!);
    }
    if (punted > 0) context.count('punted', punted);
    if (punted < count) context.count('punt failed', count - punted);
    return 0;
  },
  trace: (packet) => `af_xdp-punt: to the kernel of interface ${packet.rx}`,
};

function punt({ memory, worker }: NodeContext, packet: PacketView): boolean {
  const port = workers.of({ memory, worker })?.ports.get(packet.rx);
  if (!port) return false;
  const start = packet.address - packet.data;
  const end = Math.min(packet.data + packet.length, FRAME_BYTES);
  const frame = memory.u8.subarray(start + FRAME_HEADROOM, start + end);
  const { program, cookie } = port.details.punt;
  try {
    bpfTestRun(program, cookie === undefined ? frame : marked(frame, cookie), { ifindex: port.ifindex, live: true });
    return true;
  } catch {
    return false;
  }
}

function marked(frame: Uint8Array, cookie: bigint): Uint8Array {
  const prefix = puntPrefix(frame, cookie);
  const all = new Uint8Array(prefix.length + frame.length);
  all.set(prefix);
  all.set(frame, prefix.length);
  return all;
}
