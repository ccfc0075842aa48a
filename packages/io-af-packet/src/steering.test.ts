import { expect, it } from 'vitest';
import type { NodePort, Return } from './filter.ts';
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
  const others = new Set<string>();
  const nats: string[] = [];
  const toggle = (key: string, on: boolean) => void (on ? others.add(key) : others.delete(key));
  const hider = {
    setReturn,
    setPrefixes: () => {},
    setNodePort: ({ family, protocol, port }: NodePort, on: boolean) => toggle(`${family} ${protocol} ${port}`, on),
    setLocal: toggle,
    setNat: (index: number, nat4: boolean, nat6: boolean) => void nats.push(`${index} ${nat4} ${nat6}`),
  };
  return { returns, others, nats, hider: hider as unknown as Hider };
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

it('hides node ports and local addresses while they are there, also those from before', () => {
  const { others, hider } = hidden();
  const steering = new AfPacketSteering();
  steering.addNodePort(4, 6, 30080);
  steering.addLocalAddress('10.0.0.1');
  steering.hideWith(hider);
  steering.addLocalAddress('10.0.0.1');
  steering.addLocalAddress('fd00::1');
  steering.addNodePort(6, 6, 30080);
  expect([...others].sort()).toEqual(['10.0.0.1', '4 6 30080', '6 6 30080', 'fd00::1']);
  steering.removeNodePort(4, 6, 30080);
  steering.removeNodePort(4, 6, 30080);
  steering.removeLocalAddress('10.0.0.1');
  steering.removeLocalAddress('fd00::1');
  expect([...others].sort()).toEqual(['10.0.0.1', '6 6 30080']);
});

it('hides return traffic on the interfaces that are hidden, with another hider, too', () => {
  const [first, second] = [hidden(), hidden()];
  const steering = new AfPacketSteering();
  steering.hideWith(first.hider);
  steering.addPort(1, [], true);
  steering.addPort(2, [], false);
  for (const index of [1, 2]) steering.setNat(index, 4, true);
  expect(first.nats).toEqual(['1 true false']);
  steering.hideWith(second.hider);
  expect(second.nats).toEqual(['1 true false']);
});
