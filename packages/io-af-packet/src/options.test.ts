import { describe, expect, it } from 'vitest';
import { afPacket, afPacketOptionsSchema } from './index.ts';
import { checkOptions } from './options.ts';

describe('options of an af_packet port', () => {
  it.each([{}, { hide: false }, { receiveBuffer: 65536 }])('takes %o', (options) => {
    expect(checkOptions('eth0', options)).toEqual(options);
  });

  it.each([
    [{ hidden: true }, 'unknown option hidden; there are hide, receiveBuffer'],
    [{ hide: 1 }, 'hide must be true or false'],
    [{ receiveBuffer: 1 }, 'receiveBuffer 1 must be a whole number of bytes from 65536 to 1073741823'],
    [{ receiveBuffer: '1M' }, 'receiveBuffer 1M must be'],
  ])('refuses %o', (options, message) => {
    expect(() => checkOptions('eth0', options)).toThrow(
      expect.objectContaining({ code: 'LBD_DRIVER_OPTION', message: expect.stringContaining(message) }),
    );
  });

  it('publishes a schema that names them', () => {
    expect(afPacket.options).toBe(afPacketOptionsSchema);
    expect(Object.keys(afPacketOptionsSchema.properties)).toEqual(['hide', 'receiveBuffer']);
  });
});
