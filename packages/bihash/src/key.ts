import { BihashError } from './errors.ts';

/**
 * A key: its bytes as they lie in memory, or its words (u64, little-endian: word 0 is bytes 0 to 7), or, for keys of
 * 8 bytes, its one word.
 */
export type BihashKey = Uint8Array | readonly bigint[] | bigint;

/** The words of a key. */
export function wordsOf(key: BihashKey, keyBytes: number): readonly bigint[] {
  if (typeof key === 'bigint') return wordsOf([key], keyBytes);
  const bytes = key instanceof Uint8Array ? key.length : key.length * 8;
  if (bytes !== keyBytes) {
    throw new BihashError('LBD_BIHASH_KEY', `a key of ${bytes} bytes: this table has keys of ${keyBytes} bytes`);
  }
  if (!(key instanceof Uint8Array)) return key.map((word) => BigInt.asUintN(64, word));
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  const words: bigint[] = [];
  for (let at = 0; at < keyBytes; at += 8) words.push(view.getBigUint64(at, true));
  return words;
}
