/**
 * Counters of the nodes that hand packets to a DPO, first among their counters: why it is drop, then why it is punt, by
 * the DPO's index.
 */
export const lookupCounters = {
  'no route': 'no route to the destination: dropped',
  blackhole: 'the route to the destination is a blackhole: dropped',
  unreachable: 'the route to the destination says unreachable or prohibited, or cannot be resolved: dropped',
  'martian destination': 'the destination must not be on a network (0.0.0.0/8, 127.0.0.0/8, ::1): dropped',
  'foreign interface': 'the route leads to an interface that is not run by lbd: punted to the kernel',
  multicast: 'multicast or broadcast destination: punted to the kernel',
  'link local': 'link-local destination: punted to the kernel',
} as const;
