import { type ChildProcess, spawn } from 'node:child_process';
import { parsePrefix } from '@lbd/packet';
import type { NodePort, Return } from './filter.ts';

/** TCP and UDP over IPv6 that the socket filters find: with no other extension header than that of a fragment. */
const SEEN6 = 'ip6 nexthdr { 6, 17, 44 }';

/**
 * Hides lbd's own traffic from the kernel: an AF_PACKET socket gets a copy, so the kernel would answer or forward the
 * packet as well. nftables drops it at the interface's ingress, which comes after the copy.
 *
 * The table belongs to an nft process that reads our commands from a pipe, and goes away with it: however we end, the
 * pipe is closed, nft ends, and the kernel removes the table.
 */
export class Hider {
  readonly #nft: ChildProcess;
  readonly #table: string;
  #output = '';
  #errors = '';
  #ended = false;
  #closing = false;
  #heard: () => void = () => {};

  private constructor(onLost: (why: string) => void) {
    this.#table = `lbd-${process.pid}-${++tables}`.replaceAll('-', '_');
    // In a session of its own, so that Ctrl-C on the terminal is for us to handle.
    this.#nft = spawn('nft', ['-i'], { stdio: 'pipe', detached: true });
    const { stdin, stdout, stderr } = this.#nft;
    stdin!.on('error', () => {});
    stdout!.on('data', (chunk: Buffer) => {
      this.#output = (this.#output + String(chunk)).slice(-4096);
      this.#heard();
    });
    stderr!.on('data', (chunk: Buffer) => {
      this.#errors += String(chunk);
      this.#heard();
    });
    const end = (error?: Error): void => {
      this.#ended = true;
      this.#errors ||= error instanceof Error ? error.message : 'nft ended';
      this.#heard();
      if (!this.#closing) onLost(this.#errors);
    };
    this.#nft.once('error', end);
    this.#nft.once('exit', () => end());
    this.#nft.unref();
    for (const stream of [stdin, stdout, stderr]) (stream as unknown as { unref(): void }).unref();
  }

  /**
   * Makes the table. Resolves with the reason instead, if that cannot be done here.
   * @param onLost called when nft ended, and the table with it, though nobody closed it
   */
  static async start(onLost: (why: string) => void): Promise<Hider | string> {
    let made = false;
    const hider = new Hider((why) => made && onLost(why));
    const t = hider.#table;
    hider.#run(
      `add table netdev ${t} { flags owner; }`,
      `add set netdev ${t} to4 { type ipv4_addr; flags interval; auto-merge; }`,
      `add set netdev ${t} to6 { type ipv6_addr; flags interval; auto-merge; }`,
      `add set netdev ${t} local4 { type ipv4_addr; }`,
      `add set netdev ${t} local6 { type ipv6_addr; }`,
      `add set netdev ${t} ports4 { type inet_proto . inet_service; }`,
      `add set netdev ${t} ports6 { type inet_proto . inet_service; }`,
      `add set netdev ${t} from4 { type ipv4_addr . inet_proto . inet_service; }`,
      `add set netdev ${t} from6 { type ipv6_addr . inet_proto . inet_service; }`,
    );
    const failure = await hider.done();
    if (failure === undefined) {
      made = true;
      return hider;
    }
    await hider.close();
    return failure;
  }

  /** Begins to hide on an interface. */
  addPort(index: number, device: string): void {
    this.#run(
      `add chain netdev ${this.#table} port${index} { type filter hook ingress device "${device}" priority -500; }`,
    );
    this.setNat(index, false, false);
  }

  removePort(index: number): void {
    this.#run(`delete chain netdev ${this.#table} port${index}`);
  }

  /** Whether return traffic is hidden on an interface, too. */
  setNat(index: number, nat4: boolean, nat6: boolean): void {
    const chain = `netdev ${this.#table} port${index}`;
    this.#run(
      [
        `flush chain ${chain}`,
        `add rule ${chain} ip daddr @to4 drop`,
        `add rule ${chain} ip6 daddr @to6 drop`,
        `add rule ${chain} ip daddr @local4 meta l4proto . th dport @ports4 drop`,
        `add rule ${chain} ${SEEN6} ip6 daddr @local6 meta l4proto . th dport @ports6 drop`,
        ...(nat4 ? [`add rule ${chain} ip saddr . meta l4proto . th sport @from4 drop`] : []),
        ...(nat6 ? [`add rule ${chain} ${SEEN6} ip6 saddr . meta l4proto . th sport @from6 drop`] : []),
      ].join('; '),
    );
  }

  setPrefixes(prefixes: Iterable<string>): void {
    const all = [...prefixes];
    const commands = [4, 6].flatMap((family) => {
      const ours = all.filter((prefix) => parsePrefix(prefix).family === family);
      const set = `netdev ${this.#table} to${family}`;
      return [`flush set ${set}`, ...(ours.length > 0 ? [`add element ${set} { ${ours.join(', ')} }`] : [])];
    });
    this.#run(commands.join('; '));
  }

  setReturn({ address, protocol, port }: Return, on: boolean): void {
    const { family } = parsePrefix(address);
    this.#setElement(`from${family}`, `${address} . ${protocol} . ${port}`, on);
  }

  /** TCP or UDP to this port of local addresses. */
  setNodePort({ family, protocol, port }: NodePort, on: boolean): void {
    this.#setElement(`ports${family}`, `${protocol} . ${port}`, on);
  }

  setLocal(address: string, on: boolean): void {
    this.#setElement(`local${parsePrefix(address).family}`, address, on);
  }

  #setElement(set: string, element: string, on: boolean): void {
    this.#run(`${on ? 'add' : 'delete'} element netdev ${this.#table} ${set} { ${element} }`);
  }

  /** Resolves when all that was said is done: with what went wrong since the last call, if anything did. */
  async done(): Promise<string | undefined> {
    this.#output = '';
    this.#run(`list table netdev ${this.#table}`);
    // An answer that ends with the brace of the table, or none because there is no table.
    while (!this.#ended && !this.#output.endsWith('\n}\n') && this.#errors === '') {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        (this.#nft.stdout as unknown as { ref(): void }).ref();
      });
    }
    (this.#nft.stdout as unknown as { unref(): void }).unref();
    const errors = this.#errors;
    this.#errors = '';
    return errors === '' ? undefined : errors.trim().split('\n')[0];
  }

  /** Shows the traffic to the kernel again. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#nft.stdin?.end();
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        this.#nft.ref();
      });
    }
  }

  #run(...lines: readonly string[]): void {
    if (!this.#ended) this.#nft.stdin?.write(`${lines.join('\n')}\n`);
  }
}

let tables = 0;
