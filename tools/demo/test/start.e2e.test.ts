import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { labSuite, privileges, waitFor } from '@lbd/netlab';
import { afterEach, describe, expect, it } from 'vitest';

const START = new URL('../../run/start.mjs', import.meta.url).pathname;
const DEMO = new URL('../dist/index.js', import.meta.url).pathname;
const MINUTE = 60_000;

/** A run of the demonstration. All its processes inherit a mark in their environment, by which they are found again. */
class Run {
  readonly #mark = `NETLAB_MARK=${randomUUID()}`;
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  output = '';

  constructor(command: string[]) {
    const [name, value] = this.#mark.split('=');
    const [program, ...args] = command;
    // A group of its own, like a foreground job of a shell: Ctrl-C goes to all of it.
    const env = { ...process.env, [name]: value };
    this.child = spawn(program, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text;
      });
    }
    this.ended = new Promise((resolve) => this.child.on('exit', (code) => resolve(code ?? -1)));
  }

  /** What is left of it: processes by their mark. Namespaces, links and XDP programs live no longer than processes. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && readOrNothing(`/proc/${name}/environ`).includes(this.#mark))
      .map(Number);
  }

  async expectNothingLeft(): Promise<void> {
    await waitFor('all its processes to end', () => this.processes().length === 0);
  }

  /** Waits until it has printed the text; fails at once if it ends before. */
  async waitForOutput(text: string): Promise<void> {
    const seen = () => this.output.includes(text) || this.child.exitCode !== null;
    await waitFor(`"${text}"`, seen, { timeout: MINUTE });
    expect(this.output).toContain(text);
  }

  interrupt(): void {
    process.kill(-this.child.pid!, 'SIGINT');
  }

  kill(): void {
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

let run: Run | undefined;
afterEach(() => run?.kill());

function demo(...command: string[]): Run {
  run = new Run(command);
  return run;
}

function expectReport(output: string): void {
  expect(output).toMatch(/600 of 600 requests succeeded; the servers counted 600/);
  for (const server of [1, 2, 3]) expect(output).toMatch(new RegExp(`server${server} 192\\.168\\.1\\.${server} +\\d+`));
  expect(output).toMatch(/sticky table of worker 0 +\d+ +4096/);
  expect(output).toContain('lb vip 10.10.2.2/32 protocol tcp port 8080 encap nat4 type clusterip target_port 80');
  expect(output).toMatch(/packet from existing sessions: \d+/);
  expect(output).toMatch(/It took \d+\.\d s/);
}

labSuite(describe, 'xdp', 'npm start as root', () => {
  it('runs with AF_XDP, succeeds, and leaves nothing behind', { timeout: 2 * MINUTE }, async () => {
    const start = demo(process.execPath, START);
    expect(await start.ended, start.output).toBe(0);
    expect(start.output).toContain('AF_XDP');
    expectReport(start.output);
    await start.expectNothingLeft();
  });

  it.each(['The lab', 'lbd.yaml', 'Traffic'])(
    'leaves nothing behind on Ctrl-C when it shows "%s"',
    { timeout: 2 * MINUTE },
    async (moment) => {
      const start = demo(process.execPath, START);
      await start.waitForOutput(moment);
      start.interrupt();
      expect(await start.ended).toBeGreaterThan(0);
      await start.expectNothingLeft();
    },
  );

  it('leaves nothing behind when it is killed', { timeout: 2 * MINUTE }, async () => {
    const start = demo(process.execPath, START);
    await start.waitForOutput('Traffic');
    start.child.kill('SIGKILL');
    await start.ended;
    await start.expectNothingLeft();
  });

  it('--keep leaves the lab up, with commands that work, until it is ended', { timeout: 3 * MINUTE }, async () => {
    const start = demo(process.execPath, START, '--keep');
    expect(await start.ended, start.output).toBe(0);
    const [, lbctl] = /^ {2}(\S+\/lbctl)$/m.exec(start.output)!;
    const [, end] = /^ {2}kill (\d+)$/m.exec(start.output)!;
    expect(start.processes()).toContain(Number(end));
    const shown = demoCommand(lbctl, 'show', 'lb', 'vips');
    expect(await shown).toContain('10.10.2.2/32');
    const [, enter] = /^ {2}(nsenter .*) curl/m.exec(start.output)!;
    const fetchVip = `fetch('http://10.10.2.2:8080/').then((r) => r.text()).then(console.log)`;
    const answer = await demoCommand('nsenter', ...enter.split(' ').slice(1), process.execPath, '--eval', fetchVip);
    expect(answer).toMatch(/^server[123]$/m);
    process.kill(Number(end), 'SIGTERM');
    await start.expectNothingLeft();
    expect(existsSync(lbctl)).toBe(false);
  });
});

function demoCommand(program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${program} failed (${code})`))));
  });
}

labSuite(describe, 'namespaces', 'npm start without root', () => {
  const nobody =
    privileges().kind === 'root' ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] : [];

  it('runs with AF_PACKET in a user namespace, and says why', { timeout: 2 * MINUTE }, async () => {
    const start = demo(...nobody, process.execPath, DEMO);
    expect(await start.ended, start.output).toBe(0);
    expect(start.output).toMatch(/AF_PACKET.*user namespace\n.*not root/);
    expectReport(start.output);
    await start.expectNothingLeft();
  });
});

labSuite(describe, 'xdp', 'npm start without root and without nftables', () => {
  it('runs with AF_PACKET all the same', { timeout: 2 * MINUTE }, async () => {
    const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
    // In a mount namespace of its own, nft is no program.
    const hide = 'PATH=$PATH:/usr/sbin:/sbin; nft=$(command -v nft) && mount --bind /dev/null "$nft"; exec "$@"';
    const start = demo('unshare', '--mount', 'sh', '-c', hide, 'sh', ...nobody, process.execPath, DEMO);
    expect(await start.ended, start.output).toBe(0);
    expect(start.output).toContain('the kernel sees it too');
    expectReport(start.output);
    await start.expectNothingLeft();
  });
});

describe('npm start where namespaces are forbidden', () => {
  it('replays a capture', { timeout: 2 * MINUTE }, async () => {
    const start = demo(process.execPath, DEMO, '--driver', 'pcap');
    expect(await start.ended, start.output).toBe(0);
    expect(start.output).toMatch(/300 of 300 connections were with one server.*300 replies came from the VIP/);
    await start.expectNothingLeft();
  });

  it('refuses a driver that there is not', async () => {
    const start = demo(process.execPath, DEMO, '--driver', 'dpdk');
    expect(await start.ended).toBe(1);
    expect(start.output).toMatch(/--driver dpdk: must be af_xdp, af_packet, pcap/);
  });
});
