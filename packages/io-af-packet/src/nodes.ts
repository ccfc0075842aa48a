import { FRAME_HEADROOM, FreeStack, type NodeContext, type NodeDeclaration } from '@lbd/graph';
import { countReceiveDrops, countReceived, countSendDrops, countSent, type PortInfo } from '@lbd/io';
import { MAX_FRAME, stateOf } from './worker-state.ts';

/** A system call for each port; what the kernel dropped since then is not in the counters yet. */
const POLLS_PER_STATISTICS = 256;

/** Receives from the worker's sockets in turn. */
export function inputNode(ports: readonly PortInfo[]): NodeDeclaration {
  const names = new Map(ports.map(({ index, name }) => [index, name]));
  return {
    name: 'af_packet-input',
    kind: 'input',
    next: ['ethernet-input'],
    counters: {
      'too big': `a packet does not fit ${MAX_FRAME} bytes, and cannot be cut into segments`,
    },
    process: receive,
    trace: (packet) => `af_packet-input: ${names.get(packet.rx)}, ${packet.length} bytes`,
  };
}

function receive(context: NodeContext, vector: Uint32Array, room: number): number {
  const { memory, worker } = context;
  const state = stateOf(context);
  const { receiver } = state;
  const free = new FreeStack(memory.u32, worker);
  let n = 0;
  let bytes = 0;
  let first = 0;
  // Packets of one port come in a row: they are counted together.
  const countRow = (index: number): void => {
    if (n > first) countReceived(memory, worker, index, n - first, bytes);
    first = n;
    bytes = 0;
  };
  let index = -1;
  while (n < room && free.count > 0 && receiver.ready()) {
    if (receiver.index !== index) {
      countRow(index);
      index = receiver.index;
    }
    const buffer = free.pop();
    const packet = context.packet(buffer);
    packet.received(index, FRAME_HEADROOM, 0);
    const length = receiver.take(memory.u8, packet.address);
    if (length === 0) {
      free.push(buffer);
      countReceiveDrops(memory, worker, index, receiver.tooBig);
      context.count('too big', receiver.tooBig);
      receiver.tooBig = 0;
      continue;
    }
    packet.length = length;
    bytes += length;
    vector[n++] = buffer;
  }
  countRow(index);
  if (++state.polls % POLLS_PER_STATISTICS === 0) {
    for (const { index, socket } of state.sockets) {
      const { drops } = socket.statistics();
      if (drops > 0) countReceiveDrops(memory, worker, index, drops);
    }
  }
  return n;
}

/** Sends, one call for each port that packets of the vector leave on. */
export function outputNode(): NodeDeclaration {
  return {
    name: 'af_packet-output',
    kind: 'output',
    counters: {
      'not sent': 'the kernel had no room for the packet, or refused it (interface down, longer than its MTU)',
    },
    process: send,
    trace: (packet) => `af_packet-output: interface ${packet.tx}, ${packet.length} bytes`,
  };
}

function send(context: NodeContext, vector: Uint32Array, count: number): number {
  const { memory, worker } = context;
  const { senders } = stateOf(context);
  const free = new FreeStack(memory.u32, worker);
  for (let i = 0; i < count; i++) {
    const packet = context.packet(vector[i]!);
    const sender = senders.get(packet.tx);
    if (sender) sender.add(packet.address, packet.length);
    else context.count('not sent');
  }
  for (const [index, sender] of senders) {
    if (sender.count === 0) continue;
    sender.send(memory.u8);
    countSent(memory, worker, index, sender.sent, sender.sentBytes);
    if (sender.lost === 0) continue;
    countSendDrops(memory, worker, index, sender.lost);
    context.count('not sent', sender.lost);
  }
  for (let i = 0; i < count; i++) free.push(vector[i]!);
  return 0;
}

/** The kernel has had its copy of the packet already, unless it is hidden from it: see the README. */
export function puntNode(): NodeDeclaration {
  return {
    name: 'af_packet-punt',
    kind: 'output',
    process: ({ memory, worker }, vector, count) => {
      const free = new FreeStack(memory.u32, worker);
      for (let i = 0; i < count; i++) free.push(vector[i]!);
      return 0;
    },
    trace: (packet) => `af_packet-punt: interface ${packet.rx}`,
  };
}
