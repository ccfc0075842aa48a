import type { Lbd } from '../model.ts';

/** What a command answers: for people and for programs. */
export interface Answer {
  /** Lines of text, without the last line's end; empty if there is nothing to say. */
  readonly text: string;
  /** Plain JSON; null for a change that was made. */
  readonly data: unknown;
}

/** A line of the command table, which the parser, the help, the reference and the tests all read. */
export interface Command {
  /** The words it begins with. `a|b` is either. Each may be shortened as long as it is unmistakable. */
  readonly words: string;
  /** What may follow, as in VPP's documentation. */
  readonly syntax: string;
  /** One line. */
  readonly help: string;
  /** Sentences for the reference. */
  readonly details?: string;
  /** Checks the rest of the line and returns what to do: nothing is done if it throws. */
  readonly parse: (rest: readonly string[]) => (lbd: Lbd) => Promise<Answer>;
}

/** A command that changes something. */
export function change(action: (lbd: Lbd) => unknown): (lbd: Lbd) => Promise<Answer> {
  return async (lbd) => {
    await action(lbd);
    return { text: '', data: null };
  };
}

/** A command that shows something: `get` is the data, `format` its text, made when it is asked for. */
export function display<T>(
  get: (lbd: Lbd) => T | Promise<T>,
  format: (data: T) => string,
): (lbd: Lbd) => Promise<Answer> {
  return async (lbd) => {
    const data = await get(lbd);
    return {
      data,
      get text() {
        return format(data);
      },
    };
  };
}
