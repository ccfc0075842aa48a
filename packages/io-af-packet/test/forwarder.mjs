// A forwarder between two interfaces, for tests: the driver around a graph of one node, which turns packets of the one
// to the other, with the MAC addresses of the other side, and completes partial checksums as the IP layer would.
//
// forwarder.mjs <queues> <prefixes> <name> <MAC of the peer> <name> <MAC of the peer>
import { allocateGraph, compileKernels, Graph, GraphStats, Runtime } from '@lbd/graph';
import { InterfaceTable, interfaceOutputNode, OUTPUT, PUNT, puntNode } from '@lbd/io';
import { Arena } from '@lbd/memory';
import { interfaceMac, poll } from '@lbd/native';
import { macBytes } from '@lbd/packet';
import { afPacket } from '../dist/index.js';

const [queues, prefixes, ...devices] = process.argv.slice(2);
const names = [devices[0], devices[2]];
const peers = [devices[1], devices[3]].map((mac) => macBytes(mac));
const own = names.map((name) => interfaceMac(name));

const arena = Arena.create(64 * 1024 * 1024);
const { memory } = arena;
const control = afPacket.control();
const ports = [];
for (const [index, name] of names.entries()) {
  ports.push(await control.open({ index, name, queues: Number(queues), options: {} }));
}
const infos = structuredClone(ports.map(({ info }) => info));

let longest = 0;
const turn = (context, vector, count) => {
  for (let i = 0; i < count; i++) {
    const packet = context.packet(vector[i]);
    packet.tx = 1 - packet.rx;
    longest = Math.max(longest, packet.length);
    const { bytes } = packet;
    bytes.set(peers[packet.tx], 0);
    bytes.set(own[packet.tx], 6);
    complete(bytes);
  }
  return 0;
};

/** Completes the L4 checksum if it is the pseudo-header's sum. */
function complete(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const four = view.getUint16(12) === 0x0800;
  const l4 = four ? 14 + (bytes[14] & 15) * 4 : 54;
  const protocol = bytes[four ? 23 : 20];
  const at = l4 + (protocol === 6 ? 16 : 6);
  if (protocol !== 6 && protocol !== 17) return;
  const end = 14 + (four ? view.getUint16(16) : 40 + view.getUint16(18));
  const sum = (from, to) => {
    let total = 0;
    for (let i = from; i < to; i += 2) total += i + 1 < to ? view.getUint16(i) : bytes[i] << 8;
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return total;
  };
  const partial = sum(four ? 26 : 22, four ? 34 : 54) + protocol + end - l4;
  if (view.getUint16(at) === (partial & 0xffff) + (partial >>> 16)) {
    view.setUint16(at, ~sum(l4, end) & 0xffff || 0xffff);
  }
}

const graph = new Graph().add(
  ...afPacket.nodes(infos),
  { name: 'ethernet-input', next: ['interface-output', 'punt'], process: turn },
  interfaceOutputNode,
  puntNode,
);
graph.fanOut(OUTPUT, 'af_packet-output');
graph.fanOut(PUNT, 'af_packet-punt');
const linked = graph.link();
const layout = allocateGraph(arena, linked, { workers: Number(queues), buffersPerWorker: 2048 });
const table = new InterfaceTable(memory, layout.interfaces);
for (const name of names) table.add({ name, up: true });
const modules = await compileKernels(linked);
const workers = layout.workers.map((_, i) => ({
  driver: afPacket.worker(infos, memory, i),
  runtime: new Runtime(memory, linked, layout, i, modules),
}));
for (const prefix of prefixes.split(',')) control.steering.addPrefix(prefix);
// What was said to nft is done when it has answered.
await new Promise((resolve) => setTimeout(resolve, 300));
console.log(`ready ${JSON.stringify(infos)}`);

const fds = Int32Array.from(workers.flatMap(({ driver }) => driver.fds));
let ended = false;
process.on('SIGTERM', () => {
  ended = true;
});
while (!ended) {
  for (let i = 0; i < 1000; i++) {
    let received = 0;
    for (const { runtime } of workers) received += runtime.breathe();
    if (received === 0 && !workers.some(({ driver }) => driver.pending())) {
      poll(fds, 20);
      break;
    }
  }
  await new Promise(setImmediate);
}
const blocks = layout.workers.map(({ block }) => block);
const perWorker = infos.map(({ index }) => blocks.map((block) => Number(table.counters(index, [block]).rxPackets)));
const counters = infos.map(({ index }) => table.counters(index, blocks));
const drops = new GraphStats(memory, linked, layout).counters().filter(({ value }) => value > 0n);
for (const { driver } of workers) driver.close();
for (const port of ports) await port.close();
await control.close();
const text = JSON.stringify({ counters, drops, longest, perWorker }, (_, v) => (typeof v === 'bigint' ? Number(v) : v));
console.log(`result ${text}`);
