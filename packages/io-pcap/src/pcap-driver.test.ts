import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allocateGraph, compileKernels, FreeStack, Graph, GraphStats, type NodeFunction, Runtime } from '@lbd/graph';
import { InterfaceTable, interfaceOutputNode, OUTPUT, PUNT, puntNode } from '@lbd/io';
import { Arena } from '@lbd/memory';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PcapOptions, PcapReader, PcapWriter, pcap } from './index.ts';

const fixture = fileURLToPath(new URL('../test/fixtures/mixed.pcap', import.meta.url));
let dir = '';
let openFiles = 0;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lbd-pcap-'));
  openFiles = readdirSync('/proc/self/fd').length;
});
afterEach(() => rmSync(dir, { recursive: true }));
const file = (name: string): string => join(dir, name);

function read(path: string): [time: bigint, hex: string][] {
  const reader = PcapReader.open(path);
  const rows = [...reader].map(({ time, bytes }): [bigint, string] => [time, Buffer.from(bytes).toString('hex')]);
  reader.close();
  return rows;
}

function write(path: string, times: number[], bytes = 60): void {
  const writer = PcapWriter.create(path);
  for (const time of times) writer.write(BigInt(time), new Uint8Array(bytes).fill(time));
  writer.close();
}

/**
 * Ports of the driver around a graph of one node, which stands where the layers are: it sends what came in on port i to
 * port 1 - i, punts packets whose first byte is 0x70, drops those whose first byte is 0xdd, and sends another in place of those
 * whose first byte is 0xcc.
 */
async function run(ports: PcapOptions[], breaths = 1000) {
  const patch: NodeFunction = (context, vector, count, nexts) => {
    for (let i = 0; i < count; i++) {
      let packet = context.packet(vector[i]!);
      const first = packet.bytes[0];
      if (first === 0xcc) {
        const { bytes, rx, data, length } = packet;
        const free = new FreeStack(context.memory.u32, context.worker);
        const made = free.pop();
        free.push(vector[i]!);
        vector[i] = made;
        packet = context.packet(made);
        packet.received(rx, data, length);
        packet.bytes.set(bytes);
      }
      packet.tx = ports.length - 1 - packet.rx;
      packet.data += 14;
      packet.length -= 14;
      nexts[i] = first === 0x70 ? context.slot('punt') : first === 0xdd ? context.slot('drop') : 0;
      if (nexts[i] === 0) {
        packet.data -= 14;
        packet.length += 14;
      }
    }
    return -1;
  };
  const arena = Arena.create(64 * 1024 * 1024);
  const { memory } = arena;
  const control = pcap.control();
  const opened = [];
  for (const [index, options] of ports.entries()) {
    opened.push(await control.open({ index, name: `p${index}`, queues: 2, options: { ...options } }));
  }
  const infos = structuredClone(opened.map(({ info }) => info));
  const graph = new Graph().add(
    ...pcap.nodes(infos),
    { name: 'ethernet-input', next: ['interface-output', 'punt', 'drop'], process: patch },
    interfaceOutputNode,
    puntNode,
  );
  graph.fanOut(OUTPUT, 'pcap-output');
  graph.fanOut(PUNT, 'pcap-punt');
  const linked = graph.link();
  const layout = allocateGraph(arena, linked, { workers: 1, buffersPerWorker: 256 });
  const table = new InterfaceTable(memory, layout.interfaces);
  for (const { name } of infos) table.add({ name, up: true });
  const worker = pcap.worker(infos, memory, 0);
  const runtime = new Runtime(memory, linked, layout, 0, await compileKernels(linked));
  const received: number[] = [];
  let failure: unknown;
  try {
    for (let i = 0; i < breaths && !worker.finished(); i++) {
      received.push(runtime.breathe());
      worker.flush();
    }
  } catch (error) {
    failure = error;
  }
  const result = {
    received,
    failure,
    finished: worker.finished(),
    interfaces: infos.map(({ index }) => table.counters(index, [layout.workers[0]!.block])),
    counters: new GraphStats(memory, linked, layout).counters(),
  };
  worker.flush();
  worker.close();
  for (const port of opened) await port.close();
  await control.close();
  return result;
}

describe('the pcap driver', () => {
  it.each([1, 7, 256])('moves a capture through the graph, %i packets at a time', async (vector) => {
    const packets = read(fixture);
    const out = file('out.pcap');
    const { received, finished, interfaces } = await run([{ in: fixture, vector }, { out }]);
    expect(read(out)).toEqual(packets);
    expect(finished).toBe(true);
    expect(Math.max(...received)).toBe(Math.min(vector, packets.length));
    const bytes = packets.reduce((sum, [, hex]) => sum + hex.length / 2, 0);
    expect(interfaces[0]).toMatchObject({ rxPackets: BigInt(packets.length), rxBytes: BigInt(bytes), txPackets: 0n });
    expect(interfaces[1]).toMatchObject({ rxPackets: 0n, txPackets: BigInt(packets.length), txBytes: BigInt(bytes) });
    expect(readdirSync('/proc/self/fd').length).toBe(openFiles);
  });

  it('merges the inputs of its ports by time', async () => {
    const [a, b, out] = [file('a.pcap'), file('b.pcap'), file('out.pcap')];
    write(a, [1, 4, 5, 9]);
    write(b, [2, 3, 5, 8, 10]);
    await run([
      { in: a, out },
      { in: b, out },
    ]);
    expect(read(out).map(([time]) => Number(time))).toEqual([1, 2, 3, 4, 5, 5, 8, 9, 10]);
  });

  it('loops, and time goes on', async () => {
    const [a, out] = [file('a.pcap'), file('out.pcap')];
    write(a, [100, 104]);
    const { finished, received } = await run([{ in: a, out, loop: true, vector: 5 }], 3);
    expect(finished).toBe(false);
    expect(received).toEqual([5, 5, 5]);
    expect(
      read(out)
        .map(([time]) => Number(time))
        .slice(0, 5),
    ).toEqual([100, 104, 1104, 1108, 2108]);
  });

  it('writes punted packets from their Ethernet header on, and forgets dropped ones', async () => {
    const [a, out, punt] = [file('a.pcap'), file('out.pcap'), file('punt.pcap')];
    write(a, [1, 0x70, 0xdd, 2]);
    const { counters } = await run([{ in: a, out, punt }]);
    expect(read(out).map(([time]) => Number(time))).toEqual([1, 2]);
    expect(read(punt)).toEqual([[0x70n, '70'.repeat(60)]]);
    expect(counters.find(({ name }) => name === 'no reason')?.value).toBe(2n);
  });

  it('gives packets that are made on the way the time of the last one that came', async () => {
    const [a, out] = [file('a.pcap'), file('out.pcap')];
    write(a, [1, 2, 0xcc, 0xcd, 0xce]);
    await run([{ in: a, out, vector: 1 }]);
    expect(read(out).map(([time]) => Number(time))).toEqual([1, 2, 0xcc, 0xcd, 0xce]);
  });

  it('drops and counts what no frame has room for', async () => {
    const [a, out] = [file('a.pcap'), file('out.pcap')];
    const writer = PcapWriter.create(a);
    for (const length of [1792, 1793, 9000, 60]) writer.write(BigInt(length), new Uint8Array(length));
    writer.close();
    const { counters, interfaces, finished } = await run([{ in: a, out }]);
    expect(read(out).map(([time]) => Number(time))).toEqual([1792, 60]);
    expect(counters.find(({ name }) => name === 'too big')?.value).toBe(2n);
    expect(interfaces[0]?.rxDrops).toBe(2n);
    expect(finished).toBe(true);
  });

  it('forwards what comes before a fault in the file, then says what is wrong', async () => {
    const [a, out] = [file('a.pcap'), file('out.pcap')];
    write(a, [1, 2, 3]);
    writeFileSync(a, new Uint8Array(5), { flag: 'a' });
    const { failure, finished } = await run([{ in: a, out }]);
    expect(failure).toMatchObject({ code: 'LBD_PCAP_TRUNCATED', message: expect.stringContaining('packet 4') });
    expect(read(out)).toHaveLength(3);
    expect(finished).toBe(false);
  });

  it.each([
    [{ input: 'x' }, 'LBD_DRIVER_OPTION', 'unknown option input; there are in, out, punt, vector, loop'],
    [{ in: 7 }, 'LBD_DRIVER_OPTION', 'in must be the path of a file'],
    [{ vector: 0 }, 'LBD_DRIVER_OPTION', 'vector 0 must be a whole number from 1 to 256'],
    [{ loop: 'yes' }, 'LBD_DRIVER_OPTION', 'loop must be true or false'],
    [{ in: '/nowhere/in.pcap' }, 'LBD_DRIVER_NO_INTERFACE', '/nowhere/in.pcap'],
    [{ in: '/etc/hostname' }, 'LBD_DRIVER_OPEN', 'not a pcap file'],
    [{ out: '/nowhere/out.pcap' }, 'LBD_DRIVER_NO_INTERFACE', 'cannot write /nowhere/out.pcap'],
    [{ in: fixture, out: fixture }, 'LBD_DRIVER_OPTION', 'in and out are the same file'],
  ])('refuses %o and leaves nothing open', async (options, code, message) => {
    const control = pcap.control();
    await expect(control.open({ index: 0, name: 'p0', queues: 1, options })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    expect(readdirSync('/proc/self/fd').length).toBe(openFiles);
    await control.close();
  });
});
