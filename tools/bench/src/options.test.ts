import { describe, expect, it } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

describe('parseOptions', () => {
  it('runs memory and veth unless told', () => {
    expect(parseOptions([])).toMatchObject({ benchmarks: new Set(['memory', 'veth']), rounds: undefined });
    expect(parseOptions(['veth'])).toMatchObject({ benchmarks: new Set(['veth']) });
  });
  it('takes numbers of flows', () => {
    expect(parseOptions(['memory', '--flows', '1,16384'])).toMatchObject({ flows: [1, 16384] });
  });
  it.each([
    [['disk'], 'benchmark disk: there are memory, veth, veth2, scale, latency'],
    [['--flows', '3'], '--flows 3: must be a power of two'],
    [['--flows', ''], '--flows : must be a power of two'],
    [['--rounds', '0'], '--rounds 0: must be a whole number'],
    [['--scales', 'big'], '--scales big: there are vips, '],
    [['--speed', '9'], '--speed'],
  ])('refuses %j', (argv, message) => {
    expect(() => parseOptions(argv)).toThrow(UsageError);
    expect(() => parseOptions(argv)).toThrow(message);
  });
});
