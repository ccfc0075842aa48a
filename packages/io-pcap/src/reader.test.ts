import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PcapReader, PcapWriter } from './index.ts';

const fixture = fileURLToPath(new URL('../test/fixtures/mixed.pcap', import.meta.url));
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lbd-pcap-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Runs Python with scapy; `argv` are its arguments, what it prints is JSON. */
function scapy(program: string, ...argv: string[]): unknown {
  const code = `import json, sys\nfrom scapy.utils import RawPcapReader, RawPcapWriter\nargv = sys.argv[1:]\n${program}`;
  return JSON.parse(execFileSync('/usr/bin/python3', ['-c', code, ...argv], { encoding: 'utf8' }));
}

const READ = `
r = RawPcapReader(argv[0])
print(json.dumps([[m.sec * 10**9 + m.usec * (1 if r.nano else 1000), m.wirelen, p.hex()] for p, m in r]))`;

type Row = [time: string, originalLength: number, hex: string];

function read(path: string): Row[] {
  const reader = PcapReader.open(path);
  const rows = [...reader].map(({ time, originalLength, bytes }): Row => [String(time), originalLength, hex(bytes)]);
  reader.close();
  return rows;
}

function oracle(path: string): Row[] {
  const rows = scapy(READ.replace('m.sec * 10**9', 'str(m.sec * 10**9').replace('1000),', '1000)),'), path);
  return rows as Row[];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('PcapReader', () => {
  it('reads what scapy reads', () => {
    const rows = read(fixture);
    expect(rows.length).toBeGreaterThan(40);
    expect(rows).toEqual(oracle(fixture));
  });

  it.each([
    ['<', false],
    ['<', true],
    ['>', false],
    ['>', true],
  ])('reads files that scapy writes: byte order %s, nanoseconds %s', (endianness, nano) => {
    const path = join(dir, `scapy-${endianness === '<' ? 'le' : 'be'}-${nano}.pcap`);
    scapy(
      `w = RawPcapWriter(argv[0], linktype=1, endianness=argv[1], nano=argv[2] == 'true')
w.write_header(None)
for i in range(300):
    p = bytes(j * i % 251 for j in range(14 + i * 4))
    w.write_packet(p, sec=4000000000 + i, usec=i * 3)
w.close()
print(1)`,
      path,
      endianness,
      String(nano),
    );
    const rows = read(path);
    expect(rows).toHaveLength(300);
    expect(rows).toEqual(oracle(path));
    expect(rows[7]![0]).toBe(String(4_000_000_007_000_000_000n + (nano ? 21n : 21_000n)));
  });

  it('reads a file that is larger than what it reads at a time, and again from the start', () => {
    const path = join(dir, 'large.pcap');
    const writer = PcapWriter.create(path);
    const packet = new Uint8Array(60_001);
    for (let i = 0; i < 60; i++) writer.write(BigInt(i), packet.fill(i));
    writer.close();
    const reader = PcapReader.open(path);
    for (let round = 0; round < 2; round++) {
      let i = 0;
      for (const { bytes, time } of reader) {
        expect([bytes.length, bytes[0], bytes[60_000], time]).toEqual([60_001, i, i, BigInt(i)]);
        i++;
      }
      expect(i).toBe(60);
      reader.rewind();
    }
    reader.close();
  });

  it('keeps the original length of packets that the capture cut short', () => {
    const bytes = Uint8Array.from(readFileSync(fixture));
    new DataView(bytes.buffer).setUint32(24 + 12, 1500, true);
    expect(PcapReader.parse(bytes).next()!.originalLength).toBe(1500);
  });

  const whole = readFileSync(fixture);
  const changed = (at: number, word: number): Uint8Array => {
    const bytes = Uint8Array.from(whole);
    new DataView(bytes.buffer).setUint32(at, word, true);
    return bytes;
  };
  it.each([
    ['an empty file', new Uint8Array(0), 'LBD_PCAP_FORMAT', 'has 0 bytes'],
    ['text', Buffer.from('hello, world, hello, world'), 'LBD_PCAP_FORMAT', 'starts with 0x68656c6c'],
    ['pcapng', changed(0, 0x0a0d0d0a), 'LBD_PCAP_FORMAT', 'is a pcapng file; classic pcap is needed'],
    ['half a file header', whole.subarray(0, 20), 'LBD_PCAP_TRUNCATED', 'ends after 20 bytes, within the file header'],
    ['version 3', changed(4, 0x0000_0003), 'LBD_PCAP_FORMAT', 'has version 3'],
    ['raw IP packets', changed(20, 101), 'LBD_PCAP_LINKTYPE', 'link type 101; Ethernet (1) is needed'],
    ['half a packet header', whole.subarray(0, 30), 'LBD_PCAP_TRUNCATED', 'ends within packet 1, after 6 of 16 header'],
    ['half a packet', whole.subarray(0, 50), 'LBD_PCAP_TRUNCATED', 'ends within packet 1, after 10 of'],
    ['an impossible length', changed(24 + 8, 0x7fffffff), 'LBD_PCAP_CORRUPT', 'packet 1 claims 2147483647 bytes'],
  ])('refuses %s', (name, bytes, code, message) => {
    const path = join(dir, 'bad.pcap');
    writeFileSync(path, bytes);
    const error = expect.objectContaining({ code, message: expect.stringContaining(message) });
    expect(() => PcapReader.parse(bytes, name).next()).toThrow(error);
    expect(() => read(path)).toThrow(error);
    expect(() => read(path)).toThrow(path);
  });
});

describe('PcapWriter', () => {
  it('writes what scapy reads', () => {
    const path = join(dir, 'ours.pcap');
    const rows = read(fixture).map(
      ([time, , bytes], i): Row => [String(BigInt(time) + BigInt(i)), bytes.length / 2, bytes],
    );
    const writer = PcapWriter.create(path);
    for (const [time, , bytes] of rows) writer.write(BigInt(time), Buffer.from(bytes, 'hex'));
    writer.close();
    expect(oracle(path)).toEqual(rows);
    expect(read(path)).toEqual(rows);
  });
});
