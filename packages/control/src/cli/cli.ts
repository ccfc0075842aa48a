import type { Lbd } from '../model.ts';
import type { Answer, Command } from './command.ts';
import { graphCommands } from './graph-commands.ts';
import { helpCommand } from './help.ts';
import { lbCommands } from './lb-commands.ts';
import { splitWords, syntax } from './words.ts';

/** Every command. */
export const commands: readonly Command[] = [...lbCommands, ...graphCommands, helpCommand(() => commands)];

export type ParsedCommand = (lbd: Lbd) => Promise<Answer>;

const NOTHING: ParsedCommand = async () => ({ text: '', data: null });

/**
 * Parses one command line; what comes back does it. A blank line or a comment does nothing.
 * @throws ControlError LBD_SYNTAX, LBD_INVALID_VALUE
 */
export function parseCommand(line: string): ParsedCommand {
  const words = splitWords(line);
  if (words.length === 0) return NOTHING;
  const { command, rest } = find(words);
  return command.parse(rest);
}

/** Parses and runs one command line. @throws also what the model throws */
export async function runCommand(lbd: Lbd, line: string): Promise<Answer> {
  return parseCommand(line)(lbd);
}

/**
 * What may come next after a line's beginning, for completion: whole words. Options are not completed.
 */
export function completions(line: string): string[] {
  const words = splitWords(line);
  const last = /\s$/.test(line) || line === '' ? '' : (words.pop() ?? '');
  const candidates = commands
    .map((command) => command.words.split(' '))
    .filter((own) => own.length > words.length && words.every((word, i) => fits(word, own[i]!)))
    .flatMap((own) => own[words.length]!.split('|').slice(-1))
    .filter((word) => word.startsWith(last));
  return [...new Set(candidates)].sort();
}

const fits = (word: string, pattern: string): boolean => pattern.split('|').some((name) => name.startsWith(word));
const isExactly = (word: string, pattern: string): boolean => pattern.split('|').includes(word);

/** Narrows the table word by word: an exact word wins over those it begins. */
function find(words: readonly string[]): { command: Command; rest: readonly string[] } {
  let left = commands.map((command) => ({ command, own: command.words.split(' ') }));
  for (let i = 0; ; i++) {
    const complete = left.find(({ own }) => own.length === i);
    const word = words[i];
    const longer = left.filter(({ own }) => own.length > i);
    const exact = word === undefined ? [] : longer.filter(({ own }) => isExactly(word, own[i]!));
    const matching = exact.length > 0 || word === undefined ? exact : longer.filter(({ own }) => fits(word, own[i]!));
    const meanings = new Set(matching.map(({ own }) => own[i]!));
    if (meanings.size === 1) left = matching;
    else if (complete && (meanings.size === 0 || exact.length === 0)) {
      return { command: complete.command, rest: words.slice(i) };
    } else
      throw notFound(
        words.slice(0, i),
        word,
        meanings.size > 1 ? meanings : new Set(longer.map(({ own }) => own[i]!)),
        meanings.size > 1,
      );
  }
}

function notFound(before: readonly string[], word: string | undefined, next: Set<string>, ambiguous: boolean): Error {
  const allowed = [...next]
    .map((pattern) => pattern.split('|').at(-1))
    .sort()
    .join(', ');
  const after = before.length > 0 ? ` after "${before.join(' ')}"` : '';
  if (word === undefined) return syntax(`the command is not complete${after}: next may be ${allowed}`);
  return syntax(
    `${ambiguous ? 'ambiguous' : 'unknown'} word "${word}"${after}: ${ambiguous ? 'may mean' : 'allowed are'} ${allowed}`,
  );
}
