/** Milliseconds, monotonic, fractional. */
export type Clock = () => number;

/** The system's monotonic clock, the same in every thread. */
export function monotonicClock(): Clock {
  const { hrtime } = process;
  return () => {
    const time = hrtime();
    return time[0] * 1e3 + time[1] / 1e6;
  };
}

/**
 * A clock that leaves nothing to the garbage collector: the number that a function returns may be an object in V8's heap, and
 * is one of all of Node's clocks, where a runtime reads the clock several times for each vector of packets.
 */
export interface ClockCell {
  /** One element: the milliseconds at the last read(). */
  readonly ms: Float64Array;
  read(): void;
}

/** A clock as a cell. It allocates as much as the clock does. */
export function cellOf(clock: Clock): ClockCell {
  const ms = new Float64Array(1);
  return {
    ms,
    read() {
      ms[0] = clock();
    },
  };
}

/** Clock seconds start here, so that an expiry of 0 is in the past from the first second. */
const FIRST_SECOND = 1000;

/** What WORKER_NOW says at a time: the seconds in which expiries are counted. */
export function secondsAt(milliseconds: number): number {
  return FIRST_SECOND + Math.floor(milliseconds / 1000);
}
