import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ControlClient, completions } from '@lbd/control';
import type { Printer } from './printer.ts';

const HISTORY = join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'lbd', 'lbctl-history');
const HISTORY_LINES = 500;

/** Reads commands from a terminal until `quit`, `exit` or Ctrl-D. Keeps a history; Tab completes words. */
export async function interactive(client: ControlClient, printer: Printer): Promise<number> {
  await printer.run(client, 'show version');
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: 'lbd# ',
    history: readHistory(),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string) => [completions(line).map((word) => `${word} `), line.split(/\s+/).at(-1) ?? ''],
  });
  lines.on('history', writeHistory);
  lines.prompt();
  for await (const line of lines) {
    const command = line.trim();
    if (command === 'quit' || command === 'exit' || command === 'q') break;
    try {
      if (command !== '') await printer.run(client, command);
    } catch (error) {
      printer.error(error);
    }
    lines.prompt();
  }
  lines.close();
  return 0;
}

/** Newest first, as readline has it. */
function readHistory(): string[] {
  try {
    return readFileSync(HISTORY, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

function writeHistory(history: readonly string[]): void {
  try {
    mkdirSync(dirname(HISTORY), { recursive: true });
    writeFileSync(HISTORY, history.join('\n'), { mode: 0o600 });
  } catch {
    // A home that can't be written to is no reason not to work.
  }
}
