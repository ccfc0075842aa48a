/** A check failed. The message says what is wrong with the encap, and what would be right. */
export class Finding extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Finding';
  }
}

/** @throws Finding unless the condition holds */
export function must(condition: boolean, wrong: string): asserts condition {
  if (!condition) throw new Finding(wrong);
}

/** @throws Finding if they differ */
export function mustBe(what: string, seen: unknown, right: unknown): void {
  if (seen !== right) throw new Finding(`${what} is ${String(seen)}, must be ${String(right)}`);
}
