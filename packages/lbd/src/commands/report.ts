/**
 * Prints why lbd can't go on. Errors that a user can put right have a code, and their message says it all; others are
 * faults, and are printed with their stack.
 */
export function report(error: unknown): void {
  const { code, message, stack } = error as Error & { code?: unknown };
  const known = typeof code === 'string';
  const lines = known ? message.split('\n') : [`a fault: ${stack ?? message}`];
  process.stderr.write(`${lines.map((line) => `lbd: ${line}`).join('\n')}\n`);
}
