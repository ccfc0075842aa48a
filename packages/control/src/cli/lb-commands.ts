import type { Lbd } from '../model.ts';
import { formatEncaps, formatLb, formatVips } from '../show/lb.ts';
import { operations } from '../values/operations.ts';
import { type Answer, type Command, change, display } from './command.ts';
import { type ParsedOptions, parseOptions } from './options.ts';
import { syntax } from './words.ts';

const KEY = { protocol: 'word', port: 'number' } as const;

function vipKey({ bare, words, numbers }: ParsedOptions): object {
  return { prefix: bare[0], ...pick('protocol', words.protocol), ...pick('port', numbers.port) };
}

function pick(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value };
}

function parseConf(rest: readonly string[]) {
  const { words, numbers } = parseOptions(
    rest,
    {
      'ip4-src-address': 'word',
      'ip6-src-address': 'word',
      buckets: 'number',
      'buckets-log2': 'number',
      timeout: 'number',
      'flow-hash': 'word',
    },
    0,
  );
  const log2 = numbers['buckets-log2'];
  if (log2 !== undefined && numbers.buckets !== undefined) throw syntax('buckets and buckets-log2 exclude each other');
  if (log2 !== undefined && (log2 < 0 || log2 > 24)) {
    throw syntax(`buckets-log2 ${log2} is not allowed: must be a whole number from 0 to 24`);
  }
  const conf = operations.lbConf({
    ...pick('ip4SrcAddress', words['ip4-src-address']),
    ...pick('ip6SrcAddress', words['ip6-src-address']),
    ...pick('buckets', log2 === undefined ? numbers.buckets : 2 ** log2),
    ...pick('timeout', numbers.timeout),
    ...pick('flowHash', words['flow-hash']),
  });
  return change(({ lb }) => lb.lbConf(conf));
}

function parseVip(rest: readonly string[]) {
  const options = parseOptions(
    rest,
    {
      ...KEY,
      encap: 'word',
      dscp: 'number',
      type: 'word',
      target_port: 'number',
      node_port: 'number',
      new_len: 'number',
      src_ip_sticky: 'flag',
      del: 'flag',
    },
    1,
  );
  const { numbers, words, flags } = options;
  if (flags.has('del')) {
    const vip = operations.vipKey(vipKey(options));
    return change(({ lb }) => lb.deleteVip(vip));
  }
  const vip = operations.vipSpec({
    ...vipKey(options),
    ...pick('encap', words.encap),
    ...pick('dscp', numbers.dscp),
    ...pick('type', words.type),
    ...pick('targetPort', numbers.target_port),
    ...pick('nodePort', numbers.node_port),
    ...pick('newLen', numbers.new_len),
    srcIpSticky: flags.has('src_ip_sticky'),
  });
  return change(({ lb }) => lb.addVip(vip));
}

function parseAs(rest: readonly string[]) {
  const options = parseOptions(
    rest,
    { ...KEY, weight: 'number', del: 'flag', flush: 'flag' },
    Number.POSITIVE_INFINITY,
  );
  const { numbers, flags, bare } = options;
  const operation = { vip: vipKey(options), addresses: bare.slice(1), flush: flags.has('flush') };
  if (flags.has('del')) {
    if (numbers.weight !== undefined) throw syntax('weight and del exclude each other');
    const checked = operations.deleteServers(operation);
    return change(({ lb }) => lb.deleteServers(checked));
  }
  const checked = operations.addServers({ ...operation, ...pick('weight', numbers.weight) });
  return change(({ lb }) => lb.addServers(checked));
}

function parseFlushVip(rest: readonly string[]) {
  const vip = operations.vipKey(vipKey(parseOptions(rest, KEY, 1)));
  return change(({ lb }) => lb.flushVip(vip));
}

function parseNat(family: 4 | 6) {
  return ([direction, name, ...rest]: readonly string[]) => {
    const usage = `lb set interface nat${family} in <interface> [del]`;
    if (direction !== 'in') throw syntax(`expected "in", as in: ${usage}`);
    if (name === undefined) throw syntax(`an interface is missing: ${usage}`);
    const { flags } = parseOptions(rest, { del: 'flag' }, 0);
    const operation = operations.natInterface({ family, interface: name, enable: !flags.has('del') });
    return change(({ lb }) => lb.setNatInterface(operation));
  };
}

function parseShowVips(rest: readonly string[]): (lbd: Lbd) => Promise<Answer> {
  const verbose = parseOptions(rest, { verbose: 'flag' }, 0).flags.has('verbose');
  return display(
    ({ lb }) => lb.vips(),
    (vips) => formatVips(vips, verbose),
  );
}

/** The commands of VPP's lb plugin. */
export const lbCommands: readonly Command[] = [
  {
    words: 'lb conf',
    syntax:
      '[ip4-src-address <addr>] [ip6-src-address <addr>] [buckets <n> | buckets-log2 <n>] [timeout <s>] [flow-hash crc32c|keyed]',
    help: 'change the settings that all VIPs share',
    details:
      'What is not named stays as it is. The source addresses are those of tunnel headers. `buckets` (a power of two, 1024 at first) is the size of the sticky table of each worker, four flows a bucket; `timeout` (40 at first) is how long a flow without packets stays known, in seconds. `flow-hash` chooses the servers of new flows, and live ones stay: `crc32c` the same servers as VPP does; `keyed` can not be predicted by senders.',
    parse: parseConf,
  },
  {
    words: 'lb vip',
    syntax:
      '<prefix> [protocol tcp|udp port <n>] [encap gre6|gre4|l3dsr|nat4|nat6] [dscp <n>] [type nodeport|clusterip] [target_port <n>] [node_port <n>] [new_len <n>] [src_ip_sticky] [del]',
    help: 'add or delete a VIP',
    details:
      'Without protocol and port the VIP has all ports and protocols. `encap` is gre4 unless told; `dscp` is for l3dsr, and required there; `target_port`, for nat4 and nat6 and required there, is the port that the servers listen on. `type nodeport` also takes what comes to the addresses of lbd itself on `node_port` (`port` if that is left out). `new_len` (1024), a power of two, is the size of the new-flow table. With `src_ip_sticky` all flows of a client go to one server. `del` deletes the VIP and its servers.',
    parse: parseVip,
  },
  {
    words: 'lb as',
    syntax: '<vip-prefix> [protocol tcp|udp port <n>] <address> [<address> ...] [weight <0-100>] [del] [flush]',
    help: 'add, change or delete application servers of a VIP',
    details:
      'Without `weight`, servers are added with weight 100, and one that exists is an error; with it, they are added or updated. `weight 0` lets established flows go on and gives the server no new ones. `del` takes it away, its flows go on until they end; with `flush` the flows of these servers are chosen anew at once.',
    parse: parseAs,
  },
  {
    words: 'lb flush vip',
    syntax: '<prefix> [protocol tcp|udp port <n>]',
    help: 'forget the flows of a VIP, so that all are chosen anew',
    parse: parseFlushVip,
  },
  {
    words: 'lb set interface nat4',
    syntax: 'in <interface> [del]',
    help: 'translate the replies of IPv4 servers that come in on an interface',
    parse: parseNat(4),
  },
  {
    words: 'lb set interface nat6',
    syntax: 'in <interface> [del]',
    help: 'translate the replies of IPv6 servers that come in on an interface',
    parse: parseNat(6),
  },
  {
    words: 'show lb vip|vips',
    syntax: '[verbose]',
    help: 'show the VIPs; verbose: with counters and servers',
    parse: parseShowVips,
  },
  {
    words: 'show lb encaps',
    syntax: '',
    help: 'show the encaps that VIPs may have, those of plugins too, with their options',
    parse: (rest) => {
      parseOptions(rest, {}, 0);
      return display(({ lb }) => lb.encaps(), formatEncaps);
    },
  },
  {
    words: 'show lb',
    syntax: '',
    help: 'show the settings and how full the flow tables are',
    parse: (rest) => {
      parseOptions(rest, {}, 0);
      return display(({ lb }) => lb.summary(), formatLb);
    },
  },
  {
    words: 'test lb flowtable flush',
    syntax: '',
    help: 'forget all flows',
    parse: (rest) => {
      parseOptions(rest, {}, 0);
      return change(({ lb }) => lb.flushFlowTable());
    },
  },
];
