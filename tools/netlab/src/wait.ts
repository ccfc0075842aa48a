/** Sleeps. Tests should rather use `waitFor` with a condition. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Options of `waitFor`, in milliseconds. */
export interface WaitOptions {
  readonly timeout?: number;
  readonly interval?: number;
}

/** What a condition can be when it holds. */
type Truthy<T> = Exclude<NonNullable<T>, false | 0 | ''>;

/**
 * Asks again and again until the answer is truthy, and returns it. An error thrown by `condition` counts as "not yet".
 * Rejects after the timeout (10 s) with what was waited for and the last error.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeout = 10_000, interval = 50 }: WaitOptions = {},
): Promise<Truthy<T>> {
  const deadline = Date.now() + timeout;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= deadline) {
      throw new Error(`waited ${timeout} ms in vain for ${what}`, last === undefined ? undefined : { cause: last });
    }
    await sleep(interval);
  }
}
