// In a namespace of its own: opens one end of a veth pair with the driver, sends packets from the other end, and prints
// which of them the input node gave out.
import { execFileSync } from 'node:child_process';
import { allocateGraph, compileKernels, FreeStack, Graph, Runtime } from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { interfaceIndex, interfaceMac, PacketSocket, poll } from '@lbd/native';
import { afPacket } from '../dist/index.js';

const ip = (...args) => execFileSync('ip', args.join(' ').split(' '));
ip('link add near type veth peer name far');
ip('link set near up');
ip('link set far up');
ip('link add sleepy type veth peer name sleeper');

const arena = Arena.create(16 * 1024 * 1024);
const { memory } = arena;
const control = afPacket.control();
const codeOf = (name) => control.open({ index: 9, name, queues: 1, options: {} }).catch(({ code }) => code);
const notFound = await codeOf('nowhere');
const down = await codeOf('sleepy');
const port = await control.open({ index: 3, name: 'near', queues: 1, options: {} });
const infos = [port.info];

const taken = [];
const keep = ({ packet, memory, worker }, vector, count) => {
  const free = new FreeStack(memory.u32, worker);
  for (let i = 0; i < count; i++) {
    const { bytes, rx } = packet(vector[i]);
    if (rx === 3) taken.push(Buffer.from(bytes.subarray(42)).toString().replaceAll('\0', ''));
    free.push(vector[i]);
  }
  return 0;
};
const graph = new Graph().add(...afPacket.nodes(infos).slice(0, 1), {
  name: 'ethernet-input',
  kind: 'output',
  process: keep,
});
const linked = graph.link();
const layout = allocateGraph(arena, linked, { workers: 1, buffersPerWorker: 256 });
const driver = afPacket.worker(infos, memory, 0);
const runtime = new Runtime(memory, linked, layout, 0, await compileKernels(linked));

const { steering } = control;
steering.addPrefix('192.0.2.0/24');
steering.addPrefix('198.51.100.0/24');
steering.removePrefix('198.51.100.0/24');
steering.addReturn('10.0.0.1', 17, 80);
steering.addReturn('10.0.0.2', 17, 80);
steering.removeReturn('10.0.0.2', 17, 80);
steering.setNat(3, 4, true);

const mac = interfaceMac('near');
const sender = new PacketSocket({ name: 'far', ifindex: interfaceIndex('far') });
function send(text, source, destination, { to = mac, port = 1000, fragment = 0, type = 0x0800 } = {}) {
  const packet = Buffer.alloc(80);
  packet.set(to);
  packet.writeUInt16BE(type, 12);
  packet.set([0x45, 0, 0, 66], 14);
  packet.writeUInt16BE(fragment, 20);
  packet.set([64, 17], 22);
  packet.set(source.split('.').map(Number), 26);
  packet.set(destination.split('.').map(Number), 30);
  packet.writeUInt16BE(port, 34);
  packet.write(text, 42);
  sender.send(packet, Uint32Array.of(0), Uint32Array.of(packet.length), 0, 1);
}
send('to the prefix', '10.9.9.9', '192.0.2.77');
send('next to it', '10.9.9.9', '192.0.3.1');
send('removed prefix', '10.9.9.9', '198.51.100.1');
send('to another host', '10.9.9.9', '192.0.2.77', { to: new Uint8Array([2, 9, 9, 9, 9, 9]) });
send('another ethertype', '10.9.9.9', '192.0.2.77', { type: 0x88b5 });
send('return', '10.0.0.1', '10.9.9.9', { port: 80 });
send('another port', '10.0.0.1', '10.9.9.9', { port: 81 });
send('removed return', '10.0.0.2', '10.9.9.9', { port: 80 });
send('later fragment', '10.0.0.1', '10.9.9.9', { port: 4321, fragment: 3 });

const fds = Int32Array.from(driver.fds);
while (poll(fds, 200) > 0) runtime.breathe();
driver.close();
await port.close();
await control.close();
console.log(JSON.stringify({ mode: port.info.mode, taken, notFound, down }));
