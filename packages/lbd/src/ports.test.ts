import type { PortInfo } from '@lbd/io';
import { expect, it } from 'vitest';
import { checkQueues } from './ports.ts';

const port = (name: string, queues: number, driver = 'af_xdp') => ({ name, queues, driver }) as PortInfo;

it('refuses interfaces with unequal numbers of queues: a worker could receive and not send', () => {
  expect(() => checkQueues([port('wan0', 2), port('lan0', 1)])).toThrow(
    'interface lan0 is opened with 1 queue and wan0 with 2: all must have as many; set "queues: 1" on wan0',
  );
  checkQueues([port('wan0', 2), port('lan0', 2), port('in.pcap', 1, 'pcap')]);
  checkQueues([port('in.pcap', 1, 'pcap')]);
  checkQueues([]);
});
