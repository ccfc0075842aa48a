import type { Namespace } from './namespace.ts';
import type { Running } from './running.ts';

/** A tcpdump that writes to a pcap file. */
export class Capture {
  readonly file: string;
  readonly #tcpdump: Running;

  private constructor(file: string, tcpdump: Running) {
    this.file = file;
    this.#tcpdump = tcpdump;
  }

  /** Resolves once tcpdump listens: no packet sent after that is missed. */
  static async start(namespace: Namespace, device: string, file: string, filter: string): Promise<Capture> {
    // -Z root: it cannot become another user inside a user namespace.
    const args = ['-i', device, '-w', file, '-U', '-s', '0', '-Z', 'root', '--immediate-mode'];
    const tcpdump = namespace.spawn('tcpdump', filter ? [...args, filter] : args);
    await tcpdump.waitForOutput(/listening on/);
    return new Capture(file, tcpdump);
  }

  /** Ends the capture; the file is complete then. */
  async stop(): Promise<string> {
    await this.#tcpdump.stop('SIGINT');
    return this.file;
  }
}
