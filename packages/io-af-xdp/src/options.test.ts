import { describe, expect, it } from 'vitest';
import { afXdpOptionsSchema, checkOptions } from './options.ts';

const DEFAULTS = {
  mode: 'auto',
  'zero-copy': 'auto',
  'rx-ring': 2048,
  'tx-ring': 2048,
  'fill-ring': 2048,
  'completion-ring': 2048,
};

describe('checkOptions', () => {
  it('fills in the defaults that the schema names', () => {
    expect(checkOptions('eth0', {})).toEqual(DEFAULTS);
    const { properties } = afXdpOptionsSchema;
    expect(Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, value.default]))).toEqual(
      DEFAULTS,
    );
  });

  it('takes every value that the schema allows', () => {
    for (const [key, { enum: values }] of Object.entries(afXdpOptionsSchema.properties)) {
      for (const value of values) expect(checkOptions('eth0', { [key]: value })).toEqual({ ...DEFAULTS, [key]: value });
    }
  });

  it.each([
    [{ mode: 'fast' }, 'af_xdp port eth0: mode "fast": must be one of auto, native, generic'],
    [{ 'zero-copy': true }, 'af_xdp port eth0: zero-copy true: must be one of auto, off, on'],
    [{ 'rx-ring': 100 }, 'af_xdp port eth0: rx-ring 100: must be a power of two from 64 to 32768'],
    [{ 'tx-ring': 65536 }, 'af_xdp port eth0: tx-ring 65536: must be a power of two from 64 to 32768'],
    [{ 'fill-ring': '64' }, 'af_xdp port eth0: fill-ring "64": must be a power of two from 64 to 32768'],
    [{ speed: 1 }, 'af_xdp port eth0: speed 1: there is no such option; there are mode, zero-copy, rx-ring'],
  ])('refuses %j', (options, message) => {
    expect(() => checkOptions('eth0', options)).toThrow(message);
    expect(() => checkOptions('eth0', options)).toThrow(expect.objectContaining({ code: 'LBD_DRIVER_OPTION' }));
  });
});
