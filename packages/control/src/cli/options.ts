import { familyOf } from '../values/address.ts';
import { syntax, toNumber } from './words.ts';

/** What follows an option's word: a number, a word, or nothing (the option is a flag). */
export type OptionKind = 'number' | 'word' | 'flag';

export interface OptionTable {
  readonly [word: string]: OptionKind;
}

export interface ParsedOptions {
  readonly numbers: Readonly<Record<string, number>>;
  readonly words: Readonly<Record<string, string>>;
  readonly flags: ReadonlySet<string>;
  /** Addresses and prefixes, in the order given. */
  readonly bare: readonly string[];
}

/**
 * Reads options in any order, as VPP's unformat loops do, with addresses and prefixes among them.
 * @param bare most addresses and prefixes that are allowed
 */
export function parseOptions(input: readonly string[], table: OptionTable, bare: number): ParsedOptions {
  const numbers: Record<string, number> = {};
  const words: Record<string, string> = {};
  const flags = new Set<string>();
  const rest: string[] = [];
  const given = new Set<string>();
  for (let i = 0; i < input.length; i++) {
    const word = input[i]!;
    const kind = Object.hasOwn(table, word) ? table[word] : undefined;
    if (kind === undefined) {
      if (rest.length >= bare || !looksLikeAddress(word)) throw unknown(word, table, bare - rest.length);
      rest.push(word);
      continue;
    }
    if (given.has(word)) throw syntax(`${word} is given twice`);
    given.add(word);
    if (kind === 'flag') flags.add(word);
    else if (kind === 'number') numbers[word] = toNumber(word, input[++i]);
    else {
      const value = input[++i];
      if (value === undefined) throw syntax(`${word} needs a word after it`);
      words[word] = value;
    }
  }
  return { numbers, words, flags, bare: rest };
}

/** Lets through what was probably meant as an address, for the check of values to say what is wrong with it. */
function looksLikeAddress(word: string): boolean {
  return familyOf(word) !== undefined || /^[0-9a-fA-F]*[.:/]/.test(word);
}

function unknown(word: string, table: OptionTable, bare: number): Error {
  const allowed = Object.keys(table);
  if (bare > 0) allowed.unshift('an address');
  return syntax(
    `unknown word "${word}": allowed here ${allowed.length > 1 ? 'are' : 'is'} ${allowed.join(', ') || 'nothing more'}`,
  );
}
