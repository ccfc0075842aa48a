import type { Lbd, VipState } from '../model.ts';

/** A model that remembers what it was told and shows fixed figures: for tests of what is in front of a model. */
export function fakeLbd(calls: unknown[][] = []): Lbd {
  const note = (name: string) => (argument?: unknown) => {
    calls.push(argument === undefined ? [name] : [name, argument]);
  };
  return {
    lb: {
      lbConf: note('lbConf'),
      lbConfGet: () => ({ ip4SrcAddress: '10.0.0.1', buckets: 1024, timeout: 40, flowHash: 'crc32c', fragment: true }),
      addVip: note('addVip'),
      deleteVip: note('deleteVip'),
      addServers: note('addServers'),
      setWeight: note('setWeight'),
      deleteServers: note('deleteServers'),
      flushVip: note('flushVip'),
      setNatInterface: note('setNatInterface'),
      flushFlowTable: note('flushFlowTable'),
      summary: () => ({
        conf: { ip4SrcAddress: '10.0.0.1', buckets: 1024, timeout: 40, flowHash: 'crc32c', fragment: true },
        vips: 1,
        servers: 2,
        sticky: [{ worker: 0, used: 3, capacity: 4096 }],
        sessions: [{ name: 'nat4', sessions: 6, capacity: 65536 }],
      }),
      vips: () => [fakeVip],
      encaps: () => [
        {
          name: 'gre4',
          summary: 'GRE over IPv4',
          vipFamilies: [4, 6],
          serverFamily: 4,
          overhead: 24,
          from: '@lbd/encap-gre',
          options: [{ name: 'dscp', value: 'zero', allowed: 'zero or copy', description: 'DSCP of outer headers.' }],
        },
      ],
    },
    dataplane: {
      version: () => ({ version: '1.2.3', node: 'v20.20.2', workers: 1, uptime: 61.5 }),
      runtime: () => ({
        workers: [
          {
            worker: 0,
            seconds: 2,
            breaths: 10,
            sleeps: 1,
            pauses: { longest: 0.25, sum: 1, counts: [0, 6, 3, 0, 0, 0, 0, 0, 1, 0] },
            freeBuffers: 100,
            buffers: 128,
          },
        ],
        nodes: [
          { worker: 0, name: 'ip4-lookup', state: 'active', calls: 4, packets: 10, nanoseconds: 125 },
          { worker: 0, name: 'drop', state: 'active', calls: 0, packets: 0, nanoseconds: 0 },
        ],
      }),
      clearRuntime: note('clearRuntime'),
      errors: () => [
        { node: 'ip4-input', name: 'bad checksum', meaning: 'the header checksum is wrong', count: 7 },
        { node: 'ip4-input', name: 'bad version', meaning: 'the version is not 4', count: 0 },
      ],
      clearErrors: note('clearErrors'),
      interfaces: () => [
        {
          index: 0,
          name: 'lan0',
          driver: 'af_xdp',
          mode: 'native',
          up: true,
          mtu: 1500,
          mac: '02:00:00:00:00:01',
          ifindex: 5,
          queues: 1,
          addresses: ['10.0.0.1/24'],
          features: ['nat4 in'],
          rxPackets: 1,
          rxBytes: 60,
          txPackets: 2,
          txBytes: 120,
          rxDrops: 0,
          txDrops: 3,
        },
      ],
      nodes: () => [
        {
          name: 'ip4-lookup',
          kind: 'internal',
          loop: 'kernel',
          next: ['drop', 'ip4-rewrite'],
          previous: ['ip4-input'],
          counters: [{ name: 'no route', meaning: 'no route to the destination' }],
          disabled: 0,
        },
      ],
      routes: (family) => [
        { prefix: family === 4 ? '10.0.0.0/24' : '2001:db8::/64', paths: ['via 10.0.0.2 lan0', 'dpo adjacency4 1'] },
      ],
      memory: () => ({
        bytes: 1024,
        remaining: 512,
        allocations: [
          { label: 'a', address: 64, bytes: 64 },
          { label: 'a', address: 128, bytes: 64 },
        ],
      }),
      traceAdd: note('traceAdd'),
      trace: () => [{ worker: 0, milliseconds: 1500, steps: [{ node: 'ip4-input', text: '10.0.0.9 -> 10.1.1.1' }] }],
      clearTrace: note('clearTrace'),
    },
  };
}

export const fakeVip: VipState = {
  prefix: '10.10.2.2/32',
  protocol: 'tcp',
  port: 8080,
  encap: 'nat4',
  type: 'clusterip',
  targetPort: 80,
  newLen: 1024,
  srcIpSticky: false,
  index: 1,
  removed: false,
  counters: { existingSessions: 5, firstSession: 2, untracked: 0, noServer: 0 },
  flows: 2,
  servers: [
    { address: '192.168.1.1', weight: 100, buckets: 512, flows: 1, state: 'used', dpo: 'adjacency4 0' },
    { address: '192.168.1.2', weight: 100, buckets: 512, flows: 1, state: 'removed', dpo: 'adjacency4 1' },
  ],
};
