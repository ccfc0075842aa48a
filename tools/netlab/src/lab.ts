import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { companions, endHolder, type Holder, startHolder } from './holder.ts';
import { type End, type LinkOptions, makeLink } from './link.ts';
import { Namespace } from './namespace.ts';
import { privileges } from './privileges.ts';

/**
 * A set of network namespaces with links between them. Nothing of it exists outside of the namespaces' own processes,
 * so nothing is left behind, however the process that made it ends; `destroy` is for going on without it.
 */
export class Lab {
  readonly name: string;
  readonly namespaces = new Map<string, Namespace>();
  readonly #holders = new Map<string, Holder>();
  readonly #enterUser: readonly string[];
  #user: Holder | undefined;
  #folder: string | undefined;
  #removeFolder = () => {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  };

  private constructor(name: string, user: Holder | undefined) {
    this.name = name;
    this.#user = user;
    this.#enterUser = user ? ['nsenter', '--target', String(user.pid), '--user', '--preserve-credentials'] : [];
  }

  /** Makes an empty lab: as root directly, else in a user namespace of its own. Rejects where both are forbidden. */
  static async create(name: string): Promise<Lab> {
    const { kind, why, makeUserNamespace } = privileges();
    if (kind === 'none') throw new Error(`lab ${name}: ${why}`);
    const flags = ['--user', '--map-root-user', '--net', '--mount'];
    return new Lab(name, makeUserNamespace ? await startHolder([], flags) : undefined);
  }

  /** Adds a namespace, with the loopback interface up. */
  async namespace(name: string): Promise<Namespace> {
    if (this.namespaces.has(name)) throw new Error(`lab ${this.name}: there is a namespace ${name} already`);
    const holder = await startHolder(this.#enterUser, ['--net', '--mount']);
    const namespace = new Namespace(name, holder, this.#enterUser);
    this.namespaces.set(name, namespace);
    this.#holders.set(name, holder);
    return namespace;
  }

  /** Joins two namespaces by a virtual Ethernet cable. Resolves with its two ends. */
  link(a: Namespace, b: Namespace, options: LinkOptions = {}): Promise<[End, End]> {
    return makeLink(a, b, options);
  }

  /** Makes an Ethernet switch: a namespace of its own with a bridge, to which `attach` joins others. */
  async switch(name: string): Promise<Switch> {
    const namespace = await this.namespace(name);
    await namespace.ip('link add name br0 type bridge', 'link set br0 up');
    return new Switch(this, namespace);
  }

  /** A temporary folder, removed with the lab. */
  get folder(): string {
    if (this.#folder === undefined) {
      this.#folder = mkdtempSync(join(tmpdir(), `netlab-${this.name}-`));
      process.once('exit', this.#removeFolder);
    }
    return this.#folder;
  }

  /** Ends every process of the lab and takes all namespaces down. May be called twice. */
  async destroy(): Promise<void> {
    await Promise.all([...this.namespaces.values()].map((namespace) => namespace.stopAll()));
    for (const [name, holder] of this.#holders) {
      // Whatever the programs started in turn: it is in a namespace that we made.
      for (const pid of companions(holder.pid)) kill(pid);
      await endHolder(holder);
      this.#holders.delete(name);
    }
    if (this.#user) await endHolder(this.#user);
    this.#user = undefined;
    this.namespaces.clear();
    this.#removeFolder();
    process.off('exit', this.#removeFolder);
    this.#folder = undefined;
  }
}

/** An Ethernet switch of a lab; see `Lab.switch`. */
export class Switch {
  readonly namespace: Namespace;
  readonly #lab: Lab;
  #ports = 0;

  constructor(lab: Lab, namespace: Namespace) {
    this.#lab = lab;
    this.namespace = namespace;
  }

  /** Joins a namespace to the switch; resolves with the namespace's end. `options.a` is that end. */
  async attach(namespace: Namespace, options: LinkOptions = {}): Promise<End> {
    const port = `port${this.#ports++}`;
    const [end] = await this.#lab.link(namespace, this.namespace, { ...options, b: { name: port } });
    await this.namespace.ip(`link set ${port} master br0`);
    return end;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has just ended by itself
  }
}
