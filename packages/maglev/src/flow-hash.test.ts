import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Arena } from '@lbd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crcFlowHash, flowHash4, flowHash6 } from './crc32c.ts';
import { addressesOf, type Flow, portsOf } from './flow.ts';
import { FlowHash } from './flow-hash.ts';
import { kernelsOf } from './kernels.ts';
import { maglev } from './new-flow-table.ts';
import { sipHash13 } from './siphash.ts';

interface Case {
  case: string;
  servers: string[];
  length: number;
  sticky: boolean;
  flows: { packet: string; source: string; destination: string; ports?: [number, number]; server: number }[];
}
const cases = JSON.parse(readFileSync(new URL('../test/vectors/flows.json', import.meta.url), 'utf8')) as Case[];
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

/** The hash by the processor's definition: bit by bit over the five words, least significant bit first. */
function reference(flow: Flow): number {
  const ip4 = flow.source.length === 4;
  const le16 = (port: number) => BigInt(((port & 255) << 8) | (port >> 8));
  const ports = flow.ports && !flow.sticky ? (le16(flow.ports.source) << 16n) | le16(flow.ports.destination) : 0n;
  const words = (bytes: Uint8Array) =>
    Array.from({ length: bytes.length / 8 }, (_, i) =>
      Buffer.from(bytes.buffer, bytes.byteOffset).readBigUInt64LE(i * 8),
    );
  const addresses = Uint8Array.of(...flow.source, ...flow.destination);
  const list = ip4 ? [...words(addresses), ports, 0n, 0n, 0n] : [...words(addresses), ...(flow.sticky ? [] : [ports])];
  let crc = 0n;
  for (const word of list) {
    for (let bit = 0n; bit < 64n; bit++) {
      const out = (crc ^ (word >> bit)) & 1n;
      crc = (crc >> 1n) ^ (out ? 0x82f63b78n : 0n);
    }
  }
  return Number(crc);
}

const port = fc.integer({ min: 0, max: 65535 });
const flow: fc.Arbitrary<Flow> = fc.constantFrom(4, 16).chain((n) =>
  fc.record(
    {
      source: fc.uint8Array({ minLength: n, maxLength: n }),
      destination: fc.uint8Array({ minLength: n, maxLength: n }),
      ports: fc.record({ source: port, destination: port }),
      sticky: fc.boolean(),
    },
    { requiredKeys: ['source', 'destination'] },
  ),
);

/** The hash as the kernels compute it. */
function kernelHash(hash: FlowHash, scratch: number, flow: Flow): number {
  const kernels = kernelsOf(hash.memory);
  hash.memory.u8.set(addressesOf(flow), scratch);
  if (flow.source.length === 4) return kernels.hash4(hash.address, scratch, portsOf(flow)) >>> 0;
  if (flow.sticky) return kernels.hash6_sticky(hash.address, scratch) >>> 0;
  return kernels.hash6(hash.address, scratch, portsOf(flow)) >>> 0;
}

describe('the CRC-32C flow hash', () => {
  const arena = Arena.create(2 ** 20);
  const hash = FlowHash.create(arena);
  const scratch = arena.allocate('scratch', 64);

  it('is the CRC of the five words, in kernels and in TypeScript', () => {
    fc.assert(
      fc.property(flow, (f) => {
        const expected = reference(f);
        expect(crcFlowHash(f)).toBe(expected);
        expect(hash.hash(f)).toBe(expected);
        expect(kernelHash(hash, scratch, f)).toBe(expected);
      }),
    );
  });

  it('is what the functions by parts give', () => {
    const [a, b] = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(90, 0, 0, 1)];
    expect(flowHash4(a, b, 10000, 20000)).toBe(
      reference({ source: a, destination: b, ports: { source: 10000, destination: 20000 } }),
    );
    expect(flowHash4(a, b)).toBe(reference({ source: a, destination: b }));
    const [c, d] = [new Uint8Array(16).fill(7), new Uint8Array(16).fill(9)];
    expect(flowHash6(c, d, 1, 2)).toBe(reference({ source: c, destination: d, ports: { source: 1, destination: 2 } }));
  });

  describe.each(cases)('sends flows where VPP sent them: $case', ({ servers, length, sticky, flows }) => {
    const table = maglev(
      length,
      servers.map((address) => ({ address: hex(address) })),
    );
    it.each(flows)('$packet', ({ source, destination, ports, server }) => {
      const f: Flow = {
        source: hex(source),
        destination: hex(destination),
        ...(ports && { ports: { source: ports[0], destination: ports[1] } }),
        ...(sticky && { sticky }),
      };
      expect(table[crcFlowHash(f) & (length - 1)]).toBe(server);
      expect(kernelHash(hash, scratch, f)).toBe(crcFlowHash(f));
    });
  });
});

describe('the keyed flow hash', () => {
  const arena = Arena.create(2 ** 20);
  const scratch = arena.allocate('scratch', 64);

  it('is SipHash-1-3: agrees with CPython, whose hash of bytes it is', () => {
    // CPython draws its key from PYTHONHASHSEED with a linear congruential generator (Python/bootstrap_hash.c).
    const seed = 4242;
    const key = new Uint8Array(16);
    let x = seed;
    for (let i = 0; i < 16; i++) {
      x = (Math.imul(x, 214013) + 2531011) >>> 0;
      key[i] = (x >>> 16) & 0xff;
    }
    const messages = [1, 7, 8, 9, 12, 15, 16, 36, 63].map((n) =>
      Buffer.from(Array.from({ length: n }, (_, i) => i * 7 + n)),
    );
    const script =
      'import sys; print(sys.hash_info.algorithm); [print(hash(bytes.fromhex(a)) % 2**64) for a in sys.argv[1:]]';
    const [algorithm, ...expected] = execFileSync(
      '/usr/bin/python3',
      ['-c', script, ...messages.map((m) => m.toString('hex'))],
      {
        env: { PYTHONHASHSEED: String(seed) },
        encoding: 'utf8',
      },
    )
      .trim()
      .split('\n');
    expect(algorithm).toBe('siphash13');
    expect(messages.map((m) => String(sipHash13(key, m)))).toEqual(expected);
  });

  it('is the same in kernels and in TypeScript', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), flow, (key, f) => {
        const hash = FlowHash.create(arena, { kind: 'keyed', key });
        expect(kernelHash(hash, scratch, f)).toBe(hash.hash(f));
        hash.free(arena);
      }),
    );
  });

  it('depends on the key, and differs from CRC', () => {
    const f = { source: Uint8Array.of(1, 2, 3, 4), destination: Uint8Array.of(5, 6, 7, 8) };
    const hashes = new Set(
      [
        FlowHash.create(arena),
        ...[1, 2, 3].map((n) => FlowHash.create(arena, { kind: 'keyed', key: new Uint8Array(16).fill(n) })),
      ].map((hash) => hash.hash(f)),
    );
    expect(hashes.size).toBe(4);
  });

  it('refuses a key that has not 16 bytes', () => {
    expect(() => FlowHash.create(arena, { kind: 'keyed', key: new Uint8Array(8) })).toThrow(
      expect.objectContaining({ code: 'LBD_MAGLEV_KEY' }),
    );
  });
});
