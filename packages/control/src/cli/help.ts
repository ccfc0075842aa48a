import { type Command, display } from './command.ts';
import { syntax } from './words.ts';

export function usage(command: Command): string {
  return command.syntax === '' ? command.words : `${command.words} ${command.syntax}`;
}

/** `help [<words>]`, over the table that it is part of itself. */
export function helpCommand(commands: () => readonly Command[]): Command {
  return {
    words: 'help',
    syntax: '[<command>]',
    help: 'list the commands, or explain those that begin with the words given',
    parse: (rest) => {
      const words = rest.join(' ');
      const found = commands().filter((command) => `${command.words} `.startsWith(words));
      if (found.length === 0) throw syntax(`no command begins with "${words}": "help" lists all`);
      return display(
        () => found.map(({ words, syntax, help, details = '' }) => ({ words, syntax, help, details })),
        (list) => (rest.length === 0 ? overview(list) : list.map(explain).join('\n\n')),
      );
    },
  };
}

function overview(list: readonly Pick<Command, 'words' | 'help'>[]): string {
  const width = Math.max(...list.map(({ words }) => words.length));
  return list.map(({ words, help }) => `${words.padEnd(width)}  ${help}`).join('\n');
}

function explain(command: Omit<Command, 'parse'>): string {
  const lines = [usage(command as Command), `  ${command.help}`];
  if (command.details) lines.push(`  ${command.details}`);
  return lines.join('\n');
}
