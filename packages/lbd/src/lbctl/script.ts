import type { ControlClient } from '@lbd/control';
import type { Printer } from './printer.ts';

/**
 * Runs command lines one by one, and stops at the first that is refused.
 * @param name of the file, for messages
 * @returns the exit code: 0, or 1 after a refusal
 */
export async function runScript(
  client: ControlClient,
  printer: Printer,
  name: string,
  lines: Iterable<string> | AsyncIterable<string>,
): Promise<number> {
  let number = 0;
  for await (const line of lines) {
    number++;
    if (isBlank(line)) continue;
    try {
      await printer.run(client, line);
    } catch (error) {
      printer.error(error, `${name}:${number}`);
      return 1;
    }
  }
  return 0;
}

function isBlank(line: string): boolean {
  return /^\s*(#|$)/.test(line);
}
