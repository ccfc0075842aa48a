import { ControlError } from '../errors.ts';

/** Splits a command line at blanks. `#` begins a comment. */
export function splitWords(line: string): string[] {
  return line
    .replace(/(^|\s)#.*$/s, '')
    .split(/\s+/)
    .filter((word) => word !== '');
}

/** A number as VPP's `%d` takes it: digits only. Its range is checked later; what is no number is refused here. */
export function toNumber(word: string, value: string | undefined): number {
  if (value === undefined) throw syntax(`${word} needs a number after it`);
  if (!/^-?\d{1,15}$/.test(value)) throw syntax(`${word} "${value}" is not a number`);
  return Number(value);
}

export function syntax(message: string): ControlError {
  return new ControlError('LBD_SYNTAX', message);
}
