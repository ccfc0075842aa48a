import { type Actor, BalancerLab, type Daemon, type Namespace } from '@lbd/netlab';
import { pasted } from './pasted.ts';

/** A kind of VIP, with an encap, and what its servers are set up with. */
export interface EncapCase {
  readonly name: string;
  readonly encap: 'gre4' | 'gre6' | 'l3dsr' | 'nat4' | 'nat6';
  readonly vipFamily: 4 | 6;
  /** The VIP is for one port; else for all. */
  readonly perPort: boolean;
}

/** Every type of VIP that VPP's plugin has, all-port and per-port where both apply. */
export const ENCAP_CASES: readonly EncapCase[] = (
  [
    ['gre4', 4, 'all ports'],
    ['gre4', 4, 'one port'],
    ['gre6', 4, 'all ports'],
    ['gre6', 4, 'one port'],
    ['gre4', 6, 'all ports'],
    ['gre4', 6, 'one port'],
    ['gre6', 6, 'all ports'],
    ['gre6', 6, 'one port'],
    ['l3dsr', 4, 'all ports'],
    ['l3dsr', 4, 'one port'],
    ['nat4', 4, 'one port'],
    ['nat6', 6, 'one port'],
  ] as const
).map(([encap, vipFamily, ports]) => ({
  name: `ip${vipFamily}-${encap}, ${ports}`,
  encap,
  vipFamily,
  perPort: ports === 'one port',
}));

const VIP4 = '10.10.2.2';
const VIP6 = '2001:db8:10::2';
export const PORT = 8080;
const TARGET_PORT = 80;
/** Names the VIP to L3DSR servers. */
const DSCP = 7;

/** How a case is spelled: addresses and commands. */
export class EncapWords {
  readonly vip: string;
  readonly key: string;
  readonly url: string;
  readonly echoKey: string;
  readonly servers: readonly string[];
  readonly case: EncapCase;
  readonly nat: boolean;
  /** Port that the servers listen on. */
  readonly serverPort: number;

  constructor(lab: BalancerLab, encapCase: EncapCase) {
    const { encap, vipFamily, perPort } = encapCase;
    this.case = encapCase;
    this.nat = encap.startsWith('nat');
    this.vip = vipFamily === 4 ? VIP4 : VIP6;
    const prefix = `${this.vip}/${vipFamily === 4 ? 32 : 128}`;
    this.key = perPort ? `${prefix} protocol tcp port ${PORT}` : prefix;
    this.echoKey = perPort ? `${prefix} protocol udp port ${PORT}` : prefix;
    this.url = `http://${vipFamily === 4 ? this.vip : `[${this.vip}]`}:${PORT}/`;
    this.servers = encap.endsWith('6') ? lab.serverAddresses6 : lab.serverAddresses;
    this.serverPort = this.nat ? TARGET_PORT : PORT;
  }

  /** The commands that make the VIP (for TCP and UDP) with all servers. */
  get commands(): string[] {
    const { encap } = this.case;
    const more = encap === 'l3dsr' ? ` dscp ${DSCP}` : this.nat ? ` type clusterip target_port ${TARGET_PORT}` : '';
    const keys = [...new Set([this.key, this.echoKey])];
    return [
      'lb conf ip4-src-address 192.168.1.254 ip6-src-address 2001:db8:2::fe',
      ...keys.flatMap((key) => [`lb vip ${key} encap ${encap}${more}`, `lb as ${key} ${this.servers.join(' ')}`]),
    ];
  }
}

/**
 * Sets a server up for an encap, by what docs/encaps.md says; where the kernel has no GRE, by a tunnel's end of our own.
 */
export async function prepareServer(
  server: Namespace,
  { case: { encap, vipFamily }, vip }: EncapWords,
  address: string,
) {
  const here = { '192.168.1.1': address, '2001:db8:2::1': address, '2001:db8:10::2/128': `${vip}/128 nodad` };
  const paste = (mark: string) => server.exec('sh', ['-ec', pasted(mark, here)]);
  if (encap === 'nat4' || encap === 'nat6') return;
  if (encap === 'l3dsr') {
    await paste('table ip l3dsr');
    return;
  }
  const type = encap === 'gre4' ? 'type gre ' : 'type ip6gre ';
  const { code } = await server.attempt('ip', ['link', 'add', 'probe', ...type.trim().split(' '), 'local', address]);
  if (code !== 0) await server.tunnelEnd(encap);
  else {
    await server.ip('link delete probe');
    await paste(type);
  }
  // The blocks have the VIP of the outer header's family: the inner one may be the other.
  await server.attempt('ip', ['address', 'add', `${vip}/${vipFamily === 4 ? 32 : 128}`, 'dev', 'lo', 'nodad']);
}

/** A lab with lbd running, one VIP of a kind, and HTTP and UDP echo servers behind it. */
export class EncapLab {
  readonly lab: BalancerLab;
  readonly words: EncapWords;
  readonly lbd: Daemon;
  readonly client: Actor;
  readonly servers: readonly Actor[];

  private constructor(parts: Pick<EncapLab, 'lab' | 'words' | 'lbd' | 'client' | 'servers'>) {
    ({ lab: this.lab, words: this.words, lbd: this.lbd, client: this.client, servers: this.servers } = parts);
  }

  static async create(
    encapCase: EncapCase,
    options: { lab?: BalancerLab; interfaces?: Record<string, unknown>; more?: Record<string, unknown> } = {},
  ): Promise<EncapLab> {
    const lab = options.lab ?? (await BalancerLab.create('encap', { ip6: true }));
    try {
      const words = new EncapWords(lab, encapCase);
      for (const [n, server] of lab.servers.entries()) await prepareServer(server, words, words.servers[n]!);
      const servers = await lab.serverActors();
      for (const server of servers) {
        await server.call('httpServer', { port: words.serverPort, address: '::' });
        // Answers must come from the VIP itself.
        const address = words.nat ? (encapCase.encap === 'nat6' ? '::' : '0.0.0.0') : words.vip;
        await server.call('udpEcho', { port: words.serverPort, address });
      }
      const config = lab.config(options.interfaces ?? { driver: 'af_xdp' });
      const nat = words.nat ? { [encapCase.encap]: ['lan0'] } : {};
      const lbd = await lab.start({ ...config, nat, ...options.more });
      for (const command of words.commands) await lbd.command(command);
      return new EncapLab({ lab, words, lbd, client: await lab.client.actor(), servers });
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  destroy(): Promise<void> {
    return this.lab.destroy();
  }
}
