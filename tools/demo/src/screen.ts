// What the demonstration prints. Colours only on a terminal.

const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const green = paint(32);
export const red = paint(31);

export function line(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  line();
  line(bold(text));
}

/** Lines of a text, indented. */
export function indented(text: string): void {
  for (const row of text.trimEnd().split('\n')) line(`  ${row}`);
}

/** A table; columns of numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const numeric = header.map((_, column) =>
    rows.every((row) => typeof row[column] === 'number' || /%$/.test(`${row[column]}`)),
  );
  for (const [index, row] of cells.entries()) {
    const padded = row.map((cell, column) =>
      numeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
    );
    const text = `  ${padded.join('   ').trimEnd()}`;
    line(index === 0 ? dim(text) : text);
  }
}

/** A part of a whole, as `33.2%`. */
export function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)}%`;
}

/** A part of a whole, as a bar. */
export function bar(part: number, whole: number, width = 30): string {
  const full = Math.round((whole === 0 ? 0 : part / whole) * width);
  return '█'.repeat(full) + dim('·'.repeat(width - full));
}
