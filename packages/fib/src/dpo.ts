import { FibError } from './errors.ts';
import * as L from './layout.ts';

/** A DPO word. @throws FibError */
export function dpo(type: number, index: number): number {
  if (!Number.isInteger(type) || type < 0 || type > 127) {
    throw new FibError('LBD_FIB_DPO', `DPO type ${type} must be from 0 to 127`);
  }
  if (!Number.isInteger(index) || index < 0 || index > L.DPO_INDEX_MASK) {
    throw new FibError('LBD_FIB_DPO', `DPO index ${index} must be from 0 to ${L.DPO_INDEX_MASK}`);
  }
  return (type << L.DPO_SHIFT) | index;
}

export function dpoType(word: number): number {
  return word >>> L.DPO_SHIFT;
}

export function dpoIndex(word: number): number {
  return word & L.DPO_INDEX_MASK;
}

/** @throws FibError unless it is a DPO word */
export function checkDpo(word: number): number {
  if (Number.isInteger(word) && word >= 0 && word <= 0x7fffffff) return word;
  throw new FibError('LBD_FIB_DPO', `${word} is not a DPO word: it must be from 0 to 2147483647`);
}

export const NO_ROUTE: number = (L.DPO_DROP << L.DPO_SHIFT) | L.DROP_NO_ROUTE;

export const DROP_NAMES = ['no route', 'blackhole', 'unreachable', 'martian'] as const;
export const PUNT_NAMES = ['foreign interface', 'multicast', 'link local'] as const;

/** Says what a DPO is, by type. Packages add the words for their own types. */
export class DpoFormats {
  readonly #formats = new Map<number, (index: number) => string>([
    [L.DPO_DROP, (index) => `drop (${DROP_NAMES[index] ?? index})`],
    [L.DPO_PUNT, (index) => `punt (${PUNT_NAMES[index] ?? index})`],
    [L.DPO_RECEIVE, (index) => `receive interface ${index}`],
    [L.DPO_ADJACENCY4, (index) => `adjacency ${index}`],
    [L.DPO_ADJACENCY6, (index) => `adjacency ${index}`],
    [L.DPO_LOAD_BALANCE, (index) => `load-balance ${index}`],
    [L.DPO_GLEAN4, (index) => `glean interface ${index}`],
    [L.DPO_GLEAN6, (index) => `glean interface ${index}`],
  ]);

  /** Registers, or replaces, the words for a type. */
  set(type: number, format: (index: number) => string): this {
    this.#formats.set(type, format);
    return this;
  }

  format(word: number): string {
    const format = this.#formats.get(dpoType(word));
    return format ? format(dpoIndex(word)) : `dpo type ${dpoType(word)} index ${dpoIndex(word)}`;
  }
}
