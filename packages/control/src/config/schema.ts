import { z } from 'zod';
import { parseCommand } from '../cli/cli.ts';
import * as fields from '../values/fields.ts';
import { operations } from '../values/operations.ts';
import { repeats } from '../values/repeats.ts';
import { interfaceSchema } from './interfaces.ts';
import { staticSchema } from './static.ts';
import { lbSchema, vipSchema } from './vips.ts';

export const DEFAULT_SOCKET = '/run/lbd/lbd.sock';
const MIB = 2 ** 20;

const socket = fields.name('the path of a Unix socket').refine((path) => Buffer.byteLength(path) <= 107, {
  error: 'is too long: must be at most 107 bytes (a limit of Unix sockets)',
});

/** A line for the command line, checked when the file is. */
const commandLine = fields.line('a command').superRefine((line, context) => {
  try {
    parseCommand(line);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `"${line}": ${(error as Error).message}` });
  }
});

const seconds = (what: string) => fields.timeout().optional().describe(`${what}, seconds.`);

const nat = fields.record({
  nat4: fields.list(fields.interfaceName(), 'interfaces').default([]).describe('Interfaces of IPv4 servers.'),
  nat6: fields.list(fields.interfaceName(), 'interfaces').default([]).describe('Interfaces of IPv6 servers.'),
  sessions: fields
    .integer(1, 1 << 24)
    .optional()
    .describe(
      'Sessions there can be at a time; of each family, 524,288 with 1GiB of memory and one worker, and in proportion, a power of two, unless told.',
    ),
  timeouts: fields
    .record({
      udp: seconds('Idle time of UDP (300)'),
      tcp_transitory: seconds('Idle time of TCP of which no reply was seen (240)'),
      tcp_established: seconds('Idle time of TCP under way (7440)'),
      tcp_closed: seconds('Idle time of TCP whose end was seen (60)'),
    })
    .prefault({})
    .describe('After how much idle time sessions end.'),
});

const ROOM_PER_SESSION = 1800;
/** Of a packet buffer. */
const BUFFER_BYTES = 2048;
/** At most: forwarding tables, adjacencies and VIPs; VIP counters and nodes of each worker. */
const FIXED_TABLES = 48 * MIB;
const FIXED_TABLES_PER_WORKER = 3 * MIB;
const LEAST_ROOM = 8 * MIB;

/** Options of encaps: each encap's own schema checks them when lbd starts. */
const encaps = z
  .record(
    z.string(),
    z.record(z.string(), z.unknown(), { error: () => 'must be a mapping with the options of the encap' }),
    { error: () => 'must be a mapping with names of encaps' },
  )
  .superRefine((given, context) => {
    const refuse = (name: string, why: string) =>
      context.addIssue({ code: 'custom', path: [name], message: `is not allowed: ${why}` });
    for (const name of Object.keys(given)) {
      if (!/^[a-z][a-z0-9-]*$/.test(name)) refuse(name, 'must be the name of an encap');
      if (name === 'nat4' || name === 'nat6') refuse(name, 'its options are in the section nat');
    }
  });

/** What the NAT encaps are told, in their words. */
export interface NatOptions {
  readonly sessions: number;
  readonly timeouts: Readonly<Record<string, number>>;
}

/** Bytes of the memory for tables whose size goes by it: what packet buffers, and tables of fixed size, do not take. */
export function roomForTables({
  memory,
  workers,
  buffers,
}: {
  memory: number;
  workers: number;
  buffers: number;
}): number {
  return memory - buffers * workers * BUFFER_BYTES - FIXED_TABLES - workers * FIXED_TABLES_PER_WORKER;
}

function natOptions({ sessions, timeouts }: z.output<typeof nat>, room: number): NatOptions {
  const { udp, tcp_transitory: tcpTransitory, tcp_established: tcpEstablished, tcp_closed: tcpClosed } = timeouts;
  const given = Object.entries({ udp, tcpTransitory, tcpEstablished, tcpClosed }).filter(([, v]) => v !== undefined);
  return {
    // Of both families they take a third of it, at most.
    sessions: sessions ?? 2 ** Math.floor(Math.log2(Math.max(1, room / ROOM_PER_SESSION))),
    timeouts: Object.fromEntries(given) as Record<string, number>,
  };
}

/** The configuration file. Its output is what the daemon works with. */
export const configSchema = fields
  .record({
    interfaces: fields
      .list(interfaceSchema, 'interfaces')
      .min(1, { error: 'must name at least one interface' })
      .describe('The interfaces that lbd takes packets from and sends them to.'),
    workers: fields
      .integer(1, 64)
      .default(1)
      .describe('Worker threads, among which the receive queues of each interface are dealt out.'),
    memory: fields
      .size(64 * MIB, 4032 * MIB)
      .default(1024 * MIB)
      .describe('Size of the memory that packets and tables live in; 1GiB unless told. Only what is used takes RAM.'),
    buffers: fields
      .integer(1024, 1 << 20)
      .default(16384)
      .describe('Packet buffers of each worker, 2 KiB each.'),
    control: fields.record({ socket: socket.default(DEFAULT_SOCKET) }).prefault({}),
    log: fields
      .record({
        level: fields.word('fatal', 'error', 'warn', 'info', 'debug', 'trace').default('info'),
      })
      .prefault({}),
    metrics: fields
      .record({ enabled: fields.flag().default(true).describe('Serve GET /metrics on the control socket.') })
      .prefault({}),
    lb: lbSchema.prefault({}).describe('Settings that all VIPs share, as `lb conf`.'),
    vips: fields.list(vipSchema, 'VIPs').default([]).describe('As `lb vip` and `lb as`.'),
    nat: nat.prefault({}).describe('Interfaces whose replies are translated, as `lb set interface nat4 in`.'),
    encaps: encaps
      .default({})
      .describe(
        'Options of encaps, by the name of the encap, as in `gre4: { dscp: copy }`; `show lb encaps` lists them.',
      ),
    commands: fields
      .list(commandLine, 'commands')
      .default([])
      .describe('Command lines to run after the start, in order.'),
    plugins: fields
      .list(fields.name('the name of a package'), 'packages')
      .default([])
      .describe('Packages with encaps of others.'),
    static: staticSchema.prefault({}).describe('Addresses, neighbours and routes, for drivers without a kernel.'),
  })
  .transform((file, context) => {
    checkNames(file, context);
    const interfaces = ([4, 6] as const).flatMap((family) =>
      file.nat[`nat${family}`].map((name) => operations.natInterface({ family, interface: name, enable: true })),
    );
    return { ...file, nat: { interfaces, options: natOptions(file.nat, roomForTables(file)) } };
  });

type Draft = {
  memory: number;
  workers: number;
  buffers: number;
  interfaces: readonly { name: string }[];
  nat: { nat4: readonly string[]; nat6: readonly string[] };
  vips: readonly { vip: { prefix: string; protocol?: string; port?: number } }[];
  static: z.output<typeof staticSchema>;
};

/** What one part of the file says of another: names that must exist, things that must be there once. */
function checkNames(file: Draft, context: z.core.$RefinementCtx): void {
  const names = file.interfaces.map(({ name }) => name);
  const complain = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
  const known = (name: string, path: (string | number)[]) => {
    if (!names.includes(name)) complain(path, `there is no interface "${name}": interfaces has ${names.join(', ')}`);
  };
  for (const i of repeats(names)) complain(['interfaces', i, 'name'], `"${names[i]}" is given twice`);
  for (const list of ['nat4', 'nat6'] as const) {
    for (const [i, name] of file.nat[list].entries()) known(name, ['nat', list, i]);
  }
  for (const list of ['interfaces', 'neighbours', 'routes'] as const) {
    for (const [i, entry] of file.static[list].entries()) {
      const [key, name] = 'interface' in entry ? ['interface', entry.interface] : ['name', entry.name];
      known(name!, ['static', list, i, key!]);
    }
  }
  const missing = LEAST_ROOM - roomForTables(file);
  if (missing > 0) {
    const allowed = `${Math.ceil((file.memory + missing) / MIB)}MiB or more, or there must be fewer buffers`;
    const taken = `${file.workers} times ${file.buffers} packet buffers of 2 KiB`;
    complain(
      ['memory'],
      `${Math.floor(file.memory / MIB)}MiB have no room for tables beside ${taken}: must be ${allowed}`,
    );
  }
  const keys = file.vips.map(({ vip }) => [vip.prefix, vip.protocol, vip.port].join(' ').trim());
  for (const i of repeats(keys)) complain(['vips', i], `the VIP ${keys[i]} is given twice`);
}

export type LbdConfig = z.output<typeof configSchema>;

/** The JSON schema of the file, as published in lbd.schema.json. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' });
  return { $id: 'https://unpkg.com/@lbd/control/dist/lbd.schema.json', title: 'Configuration of lbd', ...schema };
}
