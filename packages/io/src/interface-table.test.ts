import * as L from '@lbd/graph';
import { Arena } from '@lbd/memory';
import { beforeEach, describe, expect, it } from 'vitest';
import { countReceiveDrops, countReceived, countSendDrops, countSent } from './interface-counters.ts';
import { InterfaceTable } from './interface-table.ts';

let arena: Arena;
let table: InterfaceTable;
beforeEach(() => {
  arena = Arena.create(4 * 65536);
  table = new InterfaceTable(arena.memory, arena.allocate('interface table', L.MAX_INTERFACES << L.INTERFACE_SHIFT));
});

const eth0 = {
  name: 'eth0',
  up: true,
  mtu: 9000,
  mac: '02:00:5e:10:00:ff',
  ifindex: 7,
  ip4: '192.0.2.1',
  ip6: '2001:db8::1',
  driver: 2,
  partialChecksums: true,
};

describe('InterfaceTable', () => {
  it('gives back what was put in', () => {
    expect(table.add(eth0)).toBe(0);
    expect(table.get(0)).toEqual({ index: 0, ...eth0 });
    expect(table.find('eth0')).toBe(0);
    expect(table.findByIfindex(7)).toBe(0);
    expect(table.find('eth1')).toBeUndefined();
  });

  it('lays an entry out as layout.ts says', () => {
    table.add({ name: 'other' });
    const at = table.address + table.add(eth0) * 64;
    const { u8, view } = arena.memory;
    expect(view.getUint32(at + L.INTERFACE_FLAGS, true)).toBe(L.INTERFACE_UP | L.INTERFACE_PARTIAL_CHECKSUMS);
    expect(view.getUint32(at + L.INTERFACE_MTU, true)).toBe(9000);
    expect([...u8.subarray(at + 8, at + 14)]).toEqual([2, 0, 0x5e, 0x10, 0, 0xff]);
    expect(view.getUint32(at + L.INTERFACE_IFINDEX, true)).toBe(7);
    expect([...u8.subarray(at + 20, at + 24)]).toEqual([192, 0, 2, 1]);
    expect(view.getUint16(at + L.INTERFACE_IP6, false)).toBe(0x2001);
    expect(view.getUint32(at + L.INTERFACE_DRIVER, true)).toBe(2);
  });

  it('fills in what was left out', () => {
    expect(table.get(table.add({ name: 'p0' }))).toEqual({
      index: 0,
      name: 'p0',
      up: false,
      mtu: 1500,
      mac: '00:00:00:00:00:00',
      ifindex: 0,
      ip4: '',
      ip6: '',
      driver: 0,
      partialChecksums: false,
    });
  });

  it('changes what it is told and keeps the rest', () => {
    const index = table.add(eth0);
    table.update(index, { up: false, mac: '02:00:00:00:00:09' });
    expect(table.get(index)).toEqual({ index, ...eth0, up: false, mac: '02:00:00:00:00:09' });
  });

  it('reuses the index of an interface that was removed, which is down meanwhile', () => {
    table.add(eth0);
    table.add({ name: 'eth1', up: true });
    table.remove(0);
    expect(arena.memory.u32[table.address >> 2]).toBe(0);
    expect(table.list().map(({ name }) => name)).toEqual(['eth1']);
    expect(table.add({ name: 'eth2' })).toBe(0);
  });

  it.each([
    [{ name: 'eth0' }, 'LBD_INTERFACE_EXISTS', 'interface eth0 is there already'],
    [{ name: 'x', mac: '02:00' }, 'LBD_INTERFACE_VALUE', 'MAC address'],
    [{ name: 'x', ip4: '10.0.0' }, 'LBD_INTERFACE_VALUE', 'IPv4 address'],
    [{ name: 'x', ip4: '::1' }, 'LBD_INTERFACE_VALUE', '16 bytes, 4 are needed'],
    [{ name: 'x', mtu: -1 }, 'LBD_INTERFACE_VALUE', 'mtu -1'],
    [{ name: 'x', driver: 1.5 }, 'LBD_INTERFACE_VALUE', 'driver 1.5'],
  ])('refuses %o and changes nothing', (entry, code, message) => {
    table.add(eth0);
    const before = new Uint8Array(arena.memory.u8.subarray(table.address, table.address + 4096));
    expect(() => table.add(entry)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
    expect(new Uint8Array(arena.memory.u8.subarray(table.address, table.address + 4096))).toEqual(before);
    expect(table.list()).toHaveLength(1);
  });

  it('says when it is full', () => {
    for (let i = 0; i < L.MAX_INTERFACES; i++) table.add({ name: `p${i}` });
    expect(() => table.add({ name: 'more' })).toThrow(/there are 64 already/);
    expect(() => table.get(64)).toThrow(/no interface 64/);
  });

  it('sums the counters of the workers, past 32 bits', () => {
    const index = table.add({ name: 'first' }) + table.add(eth0);
    const { memory } = arena;
    const workers = [0, 1].map((i) => {
      const block = arena.allocate(`worker ${i}`, L.WORKER_BYTES);
      const counters = arena.allocate(`counters ${i}`, L.MAX_INTERFACES * L.INTERFACE_COUNTER_BYTES);
      memory.u32[(block + L.WORKER_INTERFACE_COUNTERS) >> 2] = counters;
      return block;
    });
    const [a, b] = workers as [number, number];
    for (let i = 0; i < 3; i++) countReceived(memory, a, index, 2, 0xffff_fff0);
    countReceived(memory, b, index, 1, 60);
    countSent(memory, a, index, 4, 256);
    countSent(memory, b, index, 5, 320);
    countReceiveDrops(memory, a, index, 6);
    countSendDrops(memory, b, index, 7);
    expect(table.counters(index, workers)).toEqual({
      rxPackets: 7n,
      rxBytes: 3n * 0xffff_fff0n + 60n,
      rxDrops: 6n,
      txPackets: 9n,
      txBytes: 576n,
      txDrops: 7n,
    });
    expect(table.counters(0, workers).rxPackets).toBe(0n);
  });
});
