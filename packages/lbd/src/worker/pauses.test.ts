import { Arena } from '@lbd/memory';
import { expect, it } from 'vitest';
import {
  PAUSE_BUCKETS,
  STATUS_BYTES,
  STATUS_FORGETS,
  STATUS_LONGEST,
  STATUS_PAUSED,
  STATUS_PAUSES,
} from './messages.ts';
import { Pauses } from './pauses.ts';

function pausesOf() {
  const arena = Arena.create(1024 * 1024);
  const status = arena.allocate('status', STATUS_BYTES);
  const time = Float64Array.of(1000);
  const pauses = new Pauses(arena.memory, status, time);
  const { f64, i32 } = arena.memory;
  return {
    pauses,
    at(milliseconds: number) {
      time[0] = milliseconds;
      pauses.breath();
    },
    counts: () =>
      Array.from(f64.subarray((status + STATUS_PAUSES) >>> 3, ((status + STATUS_PAUSES) >>> 3) + PAUSE_BUCKETS)),
    longest: () => f64[(status + STATUS_LONGEST) >>> 3],
    sum: () => f64[(status + STATUS_PAUSED) >>> 3],
    forget() {
      i32[(status + STATUS_FORGETS) >>> 2]! += 1;
    },
  };
}

it('counts the time between breaths by powers of two microseconds', () => {
  const p = pausesOf();
  // One in the middle of each bucket.
  const micros = [0.5, 1.5, 3, 4.5, 1500, 100_000_000];
  let now = 1000;
  p.at(now);
  for (const one of micros) {
    now += one / 1000;
    p.at(now);
  }
  const expected = new Array(PAUSE_BUCKETS).fill(0);
  for (const bucket of [0, 1, 2, 3, 11, 23]) expected[bucket] = 1;
  expect(p.counts()).toEqual(expected);
  expect(p.longest()).toBeCloseTo(100_000, 3);
  expect(p.sum()).toBeCloseTo(100_001.5095, 3);
});

it('does not count sleep', () => {
  const p = pausesOf();
  p.at(1000);
  p.pauses.slept();
  p.at(2000);
  p.at(2001);
  expect(p.longest()).toBe(1);
  expect(p.sum()).toBe(1);
});

it('forgets the longest when told', () => {
  const p = pausesOf();
  p.at(1000);
  p.at(1010);
  p.forget();
  p.at(1011);
  expect(p.longest()).toBe(1);
});
