import { type SpawnOptions, spawn } from 'node:child_process';
import { Actor } from './actor.ts';
import { Capture } from './capture.ts';
import type { Holder } from './holder.ts';
import { PING } from './ping.ts';
import { Running } from './running.ts';
import { TUNNEL_END, type TunnelKind, tunnelArguments } from './tunnel.ts';

/** What a finished command printed. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface ExecOptions {
  /** Text for its standard input. */
  readonly input?: string;
  /** Milliseconds after which it is killed and the call rejects; 60 s unless told. */
  readonly timeout?: number;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

const PYTHON = '/usr/bin/python3';

/** A network namespace of a lab, and all that one does in it. Made by `Lab.namespace`. */
export class Namespace {
  readonly name: string;
  readonly #holder: Holder;
  readonly #enterUser: readonly string[];
  readonly #processes = new Set<Running>();

  constructor(name: string, holder: Holder, enterUser: readonly string[]) {
    this.name = name;
    this.#holder = holder;
    this.#enterUser = enterUser;
  }

  /** Process that holds the namespace; `/proc/<pid>/ns/net` is the namespace. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** The command that, put before another, runs it in this namespace: for people who want to look around. */
  get enter(): readonly string[] {
    const user = this.#enterUser.length > 0 ? ['--user', '--preserve-credentials'] : [];
    return ['nsenter', '--target', String(this.pid), ...user, '--net', '--mount'];
  }

  /** Starts a program. It dies with us (or with the lab), whatever happens. Its pid is the program's own. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): Running {
    // nsenter leaves us in the root folder; env -C goes back. Each of these replaces itself by the next, no forks.
    const wrap = [...this.enter.slice(1), 'env', '-C', String(options.cwd ?? process.cwd())];
    const die = ['setpriv', '--pdeathsig', 'KILL'];
    const child = spawn('nsenter', [...wrap, ...die, command, ...args], {
      ...options,
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...options.env },
    });
    const running = new Running(child, [command, ...args].join(' '));
    this.#processes.add(running);
    running.exited.then(() => this.#processes.delete(running));
    return running;
  }

  /** Runs a program to its end, whatever its exit code. */
  async attempt(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<Output> {
    const { input, timeout = 60_000, cwd, env } = options;
    const running = this.spawn(command, args, { ...(cwd ? { cwd } : {}), env });
    running.child.stdin?.on('error', () => {}); // it did not want its input
    running.child.stdin?.end(input ?? '');
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      running.kill('SIGKILL');
    }, timeout);
    const { code } = await running.exited;
    clearTimeout(timer);
    if (late) throw new Error(`[${this.name}] "${running.command}" took longer than ${timeout} ms:\n${running.output}`);
    return { stdout: running.stdout, stderr: running.stderr, code };
  }

  /** Runs a program to its end; rejects, with what it printed, if it fails. Resolves with its standard output. */
  async exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<string> {
    const { stdout, stderr, code } = await this.attempt(command, args, options);
    if (code === 0) return stdout;
    const said = [stdout, stderr].filter(Boolean).join('\n').trim();
    throw new Error(`[${this.name}] "${[command, ...args].join(' ')}" failed (${code}):\n${said}`);
  }

  /** Runs ip(8) with one or more commands: `ns.ip('route add default via 10.0.0.1', 'link set eth0 mtu 9000')`. */
  ip(...commands: string[]): Promise<string> {
    return this.exec('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** What `ip -json` says: `await ns.ipJson('-details', 'link', 'show', 'eth0')`. */
  async ipJson(...args: string[]): Promise<Record<string, unknown>[]> {
    return JSON.parse((await this.exec('ip', ['-json', ...args])) || '[]');
  }

  /** Sets a kernel variable of this namespace: `ns.sysctl('net.ipv4.ip_forward', 1)`. */
  async sysctl(name: string, value: string | number): Promise<void> {
    const path = `/proc/sys/${name.replaceAll('.', '/')}`;
    await this.exec('sh', ['-c', 'echo "$1" > "$2"', 'sysctl', String(value), path]);
  }

  /** Runs the text of an ES module with Node, and resolves with what it prints. */
  run(code: string, options?: ExecOptions): Promise<string> {
    return this.exec(process.execPath, ['--input-type=module', '--eval', code], options);
  }

  /** Runs a Python script with the system's Python, which is the one that has scapy. */
  python(script: string, args: readonly string[] = [], options?: ExecOptions): Promise<string> {
    return this.exec(PYTHON, ['-c', script, ...args], options);
  }

  /** Like `python`, but does not wait for its end: for sniffers and generators that run beside the test. */
  spawnPython(script: string, args: readonly string[] = []): Running {
    return this.spawn(PYTHON, ['-u', '-c', script, ...args]);
  }

  /** Sends ICMP echo requests, one after the other, and resolves with how many of them were answered. */
  async ping(address: string, { count = 1, timeout = 1000, bytes = 56 } = {}): Promise<number> {
    const args = [address, String(count), String(timeout / 1000), String(bytes)];
    return Number(await this.python(PING, args, { timeout: 30_000 + count * timeout }));
  }

  /**
   * Makes this namespace the end of a tunnel: what comes behind the outer header is the kernel's, by the interface `tunnel0`.
   * Answers go out the ordinary way.
   */
  async tunnelEnd(kind: TunnelKind): Promise<Running> {
    const end = this.spawn(PYTHON, ['-u', '-c', TUNNEL_END, ...tunnelArguments(kind)]);
    await end.waitForOutput(/ready/);
    await this.ip('link set tunnel0 mtu 65535 up');
    for (const name of ['all', 'tunnel0']) await this.sysctl(`net.ipv4.conf.${name}.rp_filter`, 0);
    return end;
  }

  /** Starts a Node process here that plays servers and clients; see `Methods` for what it can do. */
  actor(name: string = this.name): Promise<Actor> {
    return Actor.start(this, name);
  }

  /** Captures what passes an interface to a pcap file. @param filter as for tcpdump */
  capture(device: string, file: string, filter = ''): Promise<Capture> {
    return Capture.start(this, device, file, filter);
  }

  /** Ends everything that was started here with `spawn`. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#processes].map((running) => running.stop()));
  }
}
