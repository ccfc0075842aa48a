import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PcapReader, PcapWriter } from '@lbd/io-pcap';
import { dissect, ethernet, type Ip4, ip4, packet, type Tcp, tcp } from '@lbd/packet';

const bin = (name: string) => fileURLToPath(new URL(`../../dist/bin/${name}.js`, import.meta.url));
const MAC = { wan: '02:00:00:00:00:01', client: '02:00:00:00:00:02', lan: '02:00:00:00:01:00' };
export const SERVERS = ['192.168.1.1', '192.168.1.2', '192.168.1.3'];

/** Where a run was ended, and what it printed. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with captures and a configuration, on which the programs of dist/ are run. */
export class Captures {
  readonly folder = mkdtempSync(join(tmpdir(), 'lbd-test-'));
  readonly socket = join(this.folder, 'lbd.sock');
  readonly #children: ChildProcess[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  /** The packets of clients: each of the ports sends that many. */
  writeRequests(ports: readonly number[], each: number, dst = '10.10.2.2'): void {
    const writer = PcapWriter.create(this.path('in.pcap'));
    for (let i = 0; i < each; i++) {
      for (const sport of ports) {
        const segment = tcp({ sport, dport: 8080, seq: i, flags: i === 0 ? 'S' : 'A' });
        writer.write(
          BigInt(i * 65536 + sport),
          packet(ethernet({ dst: MAC.wan, src: MAC.client }), ip4({ src: '10.1.0.2', dst }), segment, `packet ${i}`),
        );
      }
    }
    writer.close();
  }

  /** What left towards the servers. */
  readSent(): { ip: Ip4; tcp: Tcp; good: boolean; mac: string }[] {
    return [...PcapReader.open(this.path('out.pcap'))].map(({ bytes }) => {
      const layers = dissect(bytes);
      const find = (protocol: object) => layers.find((layer) => layer.protocol === protocol)!.fields;
      return {
        ip: find(ip4) as Ip4,
        tcp: find(tcp) as Tcp,
        good: layers.every(({ checksum }) => checksum !== 'bad'),
        mac: (find(ethernet) as { dst: string }).dst,
      };
    });
  }

  /** A VIP with three servers; `more` replaces keys. Returns the file. */
  writeConfig(more: object = {}): string {
    const config = {
      memory: '128MiB',
      buffers: 2048,
      control: { socket: this.socket },
      interfaces: [
        { name: 'wan0', driver: 'pcap', in: this.path('in.pcap') },
        { name: 'lan0', driver: 'pcap', out: this.path('out.pcap') },
      ],
      static: {
        interfaces: [
          { name: 'wan0', mac: MAC.wan, addresses: ['10.1.0.1/24'] },
          { name: 'lan0', mac: MAC.lan, addresses: ['192.168.1.254/24'] },
        ],
        neighbours: SERVERS.map((address, i) => ({ address, interface: 'lan0', mac: `02:00:00:00:01:0${i + 1}` })),
      },
      vips: [
        {
          prefix: '10.10.2.2/32',
          protocol: 'tcp',
          port: 8080,
          encap: 'nat4',
          target_port: 80,
          as: SERVERS.map((address) => ({ address })),
        },
      ],
      nat: { nat4: ['lan0'] },
      ...more,
    };
    const file = this.path('lbd.yaml');
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  /** Runs a program to its end. */
  async run(program: 'lbd' | 'lbctl', args: readonly string[], input = ''): Promise<Ended> {
    return this.start(program, args, input).ended;
  }

  start(program: 'lbd' | 'lbctl', args: readonly string[], input = ''): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(process.execPath, [bin(program), ...args], { cwd: this.folder });
    this.#children.push(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.end(input);
    const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
    return { child, ended };
  }

  lbctl(...args: string[]): Promise<Ended> {
    return this.run('lbctl', ['--socket', this.socket, ...args]);
  }

  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Tries until it holds; an error is not yet. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    try {
      if (await holds()) return;
    } catch {
      // not yet
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come to hold within 10 s');
}
