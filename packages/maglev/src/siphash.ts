import { MaglevError } from './errors.ts';
import { addressesOf, type Flow, portsOf } from './flow.ts';

/** The two words of a 16-byte key. */
export function keyWords(key: Uint8Array): [bigint, bigint] {
  if (key.length !== 16) throw new MaglevError('LBD_MAGLEV_KEY', `a key of ${key.length} bytes: must be 16`);
  const view = new DataView(key.buffer, key.byteOffset, 16);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

const mask = (word: bigint) => BigInt.asUintN(64, word);
const rotl = (word: bigint, by: bigint) => mask((word << by) | (word >> (64n - by)));

/** SipHash-1-3 (Aumasson and Bernstein, 2012), in plain TypeScript. */
export function sipHash13(key: Uint8Array, message: Uint8Array): bigint {
  const [k0, k1] = keyWords(key);
  let a = k0 ^ 0x736f6d6570736575n;
  let b = k1 ^ 0x646f72616e646f6dn;
  let c = k0 ^ 0x6c7967656e657261n;
  let d = k1 ^ 0x7465646279746573n;
  const round = () => {
    a = mask(a + b);
    c = mask(c + d);
    b = rotl(b, 13n) ^ a;
    d = rotl(d, 16n) ^ c;
    a = rotl(a, 32n);
    c = mask(c + b);
    a = mask(a + d);
    b = rotl(b, 17n) ^ c;
    d = rotl(d, 21n) ^ a;
    c = rotl(c, 32n);
  };
  const padded = new Uint8Array(Math.floor(message.length / 8) * 8 + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = view.getBigUint64(at, true);
    d ^= word;
    round();
    a ^= word;
  }
  c ^= 0xffn;
  for (let i = 0; i < 3; i++) round();
  return a ^ b ^ c ^ d;
}

/** The keyed flow hash: the low 32 bits of SipHash-1-3 over the addresses and the four bytes of the ports. */
export function keyedFlowHash(key: Uint8Array, flow: Flow): number {
  const addresses = addressesOf(flow);
  const message = new Uint8Array(addresses.length + 4);
  message.set(addresses);
  new DataView(message.buffer).setUint32(addresses.length, portsOf(flow), true);
  return Number(BigInt.asUintN(32, sipHash13(key, message)));
}
