import type { Actor } from '@lbd/netlab';

/** A TCP connection on which bytes go to and fro until it is ended: the ordinary traffic that lbd must not disturb. */
export class Talk {
  #stopped = false;
  readonly #done: Promise<number>;

  private constructor(client: Actor, id: number) {
    this.#done = this.#talk(client, id);
    this.#done.catch(() => {}); // reported by end()
  }

  /** Opens the connection; something must echo on that port. */
  static async start(client: Actor, host: string, port: number): Promise<Talk> {
    return new Talk(client, await client.call('tcpOpen', { host, port }));
  }

  /** Closes it, and resolves with the number of exchanges. Rejects if one of them failed. */
  async end(): Promise<number> {
    this.#stopped = true;
    return this.#done;
  }

  async #talk(client: Actor, id: number): Promise<number> {
    let exchanges = 0;
    while (!this.#stopped) {
      await client.call('tcpExchange', { id, bytes: 10_000 });
      exchanges++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await client.call('tcpClose', id);
    return exchanges;
  }
}
