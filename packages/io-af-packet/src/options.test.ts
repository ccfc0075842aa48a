import { describe, expect, it } from 'vitest';
import { afPacket, afPacketOptionsSchema } from './index.ts';
import { checkOptions } from './options.ts';

describe('options of an af_packet port', () => {
  it.each([{}, { hide: false }, { 'receive-buffer': 65536 }])('takes %o', (options) => {
    expect(checkOptions('eth0', options)).toEqual(options);
  });

  it.each([
    [{ hidden: true }, 'unknown option hidden; there are hide, receive-buffer'],
    [{ hide: 1 }, 'hide must be true or false'],
    [{ 'receive-buffer': 1 }, 'receive-buffer 1 must be a whole number of bytes from 65536 to 1073741823'],
    [{ 'receive-buffer': '1M' }, 'receive-buffer 1M must be'],
  ])('refuses %o', (options, message) => {
    expect(() => checkOptions('eth0', options)).toThrow(
      expect.objectContaining({ code: 'LBD_DRIVER_OPTION', message: expect.stringContaining(message) }),
    );
  });

  it('publishes a schema that names them', () => {
    expect(afPacket.options).toBe(afPacketOptionsSchema);
    expect(Object.keys(afPacketOptionsSchema.properties)).toEqual(['hide', 'receive-buffer']);
  });
});
