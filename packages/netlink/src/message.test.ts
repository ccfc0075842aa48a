import { describe, expect, it } from 'vitest';
import { parseChange } from './change.ts';
import { Bytes, buildMessage, parseAttributes, parseError, parseMessages } from './message.ts';
import { useNeighbour } from './neighbour.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));

// As strace -xx shows what `ip` and the kernel say on a little-endian machine.
const NEIGHBOUR = bytes(`
  4c000000 1c00 0000 00000000 00000000
  02 00 0000 02000000 0200 00 01
  0800 0100 0a010002
  0a00 0200 020000000102 0000
  0800 0400 01000000
  1400 0300 00000000 00000000 00000000 01000000`);

const MULTIPATH = bytes(`
  50000000 1800 0000 00000000 00000000
  02 10 00 00 fe 04 00 01 00000000
  0800 0f00 fe000000
  0800 0100 0a0a0000
  2400 0900
    1000 00 02 02000000 0800 0500 0a010002
    1000 04 ff 03000000 0800 0500 0a020002`);

describe('messages', () => {
  it('are taken apart: a neighbour', () => {
    const [message, ...rest] = parseMessages(NEIGHBOUR);
    expect(rest).toEqual([]);
    expect(parseChange(message!)).toEqual({
      kind: 'neighbour',
      action: 'new',
      flags: 0,
      value: {
        family: 4,
        ifindex: 2,
        address: '10.1.0.2',
        mac: '02:00:00:00:01:02',
        state: 'reachable',
        router: false,
      },
    });
  });

  it('are taken apart: a route of several ways', () => {
    expect(parseChange(parseMessages(MULTIPATH)[0]!)?.value).toEqual({
      family: 4,
      destination: '10.10.0.0/16',
      table: 254,
      type: 'unicast',
      metric: 0,
      mtu: 0,
      tos: 0,
      protocol: 4,
      source: '',
      nexthopId: 0,
      nexthops: [
        { ifindex: 2, gateway: '10.1.0.2', weight: 3, onlink: false, dead: false, skipped: false },
        { ifindex: 3, gateway: '10.2.0.2', weight: 256, onlink: true, dead: false, skipped: false },
      ],
    });
  });

  it('are taken apart: two in a datagram', () => {
    const two = new Uint8Array(NEIGHBOUR.length * 2);
    two.set(NEIGHBOUR);
    two.set(NEIGHBOUR, NEIGHBOUR.length);
    expect(parseMessages(two).map(({ type, body }) => [type, body.length])).toEqual([
      [28, 60],
      [28, 60],
    ]);
  });

  it('are built', () => {
    expect(Buffer.from(buildMessage(useNeighbour(7, '10.1.0.2'), 9)).toString('hex')).toBe(
      Buffer.from(
        bytes('24000000 1c00 0504 09000000 00000000  02000000 07000000 0000 01 00  0800 0100 0a010002'),
      ).toString('hex'),
    );
    expect(buildMessage(useNeighbour(7, '2001:db8::1'), 9)).toHaveLength(16 + 12 + 4 + 16);
  });

  it('tell what went wrong, in words if there are any', () => {
    const [plain, worded, fine] = [
      '24000000 0200 0000 01000000 00000000  edffffff  20000000 1c00 0504 01000000 00000000',
      '38000000 0200 0003 01000000 00000000  eaffffff  20000000 1c00 0504 01000000 00000000  1400 0100 4e6f742061206e65696768626f757200',
      '24000000 0200 0000 01000000 00000000  00000000  20000000 1c00 0504 01000000 00000000',
    ].map((hex) => parseMessages(bytes(hex))[0]!);
    expect(parseError(plain!, 'add')).toMatchObject({ errno: 'ENODEV', message: 'add: the kernel says ENODEV' });
    expect(parseError(worded!, 'add')?.message).toBe('add: the kernel says EINVAL: Not a neighbour');
    expect(parseError(fine!, 'add')).toBeUndefined();
  });

  it.each([
    ['a length beyond the datagram', '20000000 0200 0000 01000000 00000000'],
    ['a length less than the header', '0f000000 0200 0000 01000000 00000000'],
    ['half a header', '10000000 0200'],
  ])('are refused with %s', (_, hex) => {
    expect(() => parseMessages(bytes(hex))).toThrow(expect.objectContaining({ code: 'LBD_NETLINK_MALFORMED' }));
  });

  it('are refused with attributes that do not fit', () => {
    expect(() => parseAttributes(new Bytes(bytes('0c00 0100 00000000')))).toThrow(/an attribute of 12 bytes in the 8/);
    expect(() => parseAttributes(new Bytes(bytes('0300 0100')))).toThrow(/an attribute of 3 bytes/);
    const short = parseMessages(bytes('14000000 1c00 0000 00000000 00000000 02000000'))[0]!;
    expect(() => parseChange(short)).toThrow(/a body of 4 bytes, where 12 come before the attributes/);
  });

  it('survive being cut anywhere', () => {
    for (let length = 0; length < MULTIPATH.length; length++) {
      const cut = MULTIPATH.slice(0, length);
      if (length >= 4) new DataView(cut.buffer).setUint32(0, length, true);
      try {
        for (const message of parseMessages(cut)) parseChange(message);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^LBD_/) });
      }
    }
  });
});
