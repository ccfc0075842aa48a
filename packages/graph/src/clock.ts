/** Milliseconds, monotonic, fractional. */
export type Clock = () => number;

/**
 * The system's monotonic clock, the same in every thread: performance.now() counts from the start of its own thread, so
 * the difference is taken once. It allocates nothing.
 */
export function monotonicClock(): Clock {
  const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  return () => performance.now() + offset;
}

/** Clock seconds start here, so that an expiry of 0 is in the past from the first second. */
const FIRST_SECOND = 1000;

/** What WORKER_NOW says at a time: the seconds in which expiries are counted. */
export function secondsAt(milliseconds: number): number {
  return FIRST_SECOND + Math.floor(milliseconds / 1000);
}
