import { expect, it } from 'vitest';
import type { Return } from './filter.ts';
import type { Hider } from './hider.ts';
import { AfPacketSteering } from './steering.ts';

/** Holds what would be hidden from the kernel: what is lbd's own, as nftables would have it. */
function hidden() {
  const returns = new Set<string>();
  const setReturn = ({ address, protocol, port }: Return, on: boolean) => {
    const key = `${address} ${protocol} ${port}`;
    if (on) returns.add(key);
    else returns.delete(key);
  };
  return { returns, hider: { setReturn, setPrefixes: () => {} } as unknown as Hider };
}

it('takes return traffic until the last VIP that shares a server and its port has gone', () => {
  const { returns, hider } = hidden();
  const steering = new AfPacketSteering();
  steering.hideWith(hider);
  steering.addReturn('10.0.0.1', 6, 80);
  steering.addReturn('10.0.0.1', 6, 80);
  steering.addReturn('10.0.0.1', 17, 80);
  steering.removeReturn('10.0.0.1', 6, 80);
  expect([...returns]).toEqual(['10.0.0.1 6 80', '10.0.0.1 17 80']);
  steering.removeReturn('10.0.0.1', 6, 80);
  expect([...returns]).toEqual(['10.0.0.1 17 80']);
  steering.removeReturn('10.0.0.1', 6, 80);
  steering.addReturn('10.0.0.1', 6, 80);
  expect([...returns]).toEqual(['10.0.0.1 17 80', '10.0.0.1 6 80']);
});
