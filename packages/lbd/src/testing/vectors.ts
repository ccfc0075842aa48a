import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PcapReader } from '@lbd/io-pcap';

/** What must become of a packet: see test/vectors/make.py, which makes them. */
export interface Expected {
  /** Its place in the capture. */
  readonly packet: number;
  readonly what: string;
  /** VPP is right: places in its capture of the frames that leave for it. */
  readonly vpp?: readonly number[];
  /** VPP is not right: the frames that leave for it, in hex. */
  readonly sent?: readonly string[];
  /** What VPP does otherwise. */
  readonly why?: string;
  /** It is left to the kernel. */
  readonly punted?: boolean;
}

/** A vector: a configuration of VPP, packets, and what must become of each. */
export interface Vector {
  readonly name: string;
  readonly folder: string;
  /** The interface that the packets come in on. */
  readonly in: string;
  readonly setup: VectorSetup;
  readonly packets: readonly VectorPacket[];
}

export interface VectorPacket {
  readonly number: number;
  /** For the name of a test: what it is, and what VPP does otherwise. */
  readonly title: string;
  readonly frame: Uint8Array;
  /** Frames that leave for it, in hex. */
  readonly sent: readonly string[];
  readonly punted: boolean;
}

/** The commands of VPP, sorted: addresses, neighbours and routes as the section `static` has them, and the `lb` commands. */
export interface VectorSetup {
  readonly interfaces: readonly { name: string; mac: string; mtu: number; addresses: readonly string[] }[];
  readonly neighbours: readonly { address: string; interface: string; mac: string }[];
  readonly routes: readonly { prefix: string; via: string; interface: string }[];
  readonly commands: readonly string[];
}

const FOLDER = fileURLToPath(new URL('../../test/vectors/', import.meta.url));
/** What VPP's interfaces take unless told. */
const VPP_MTU = 9000;

export function vectors(): Vector[] {
  const expected = JSON.parse(readFileSync(`${FOLDER}expected.json`, 'utf8')) as {
    case: string;
    in: string;
    packets: Expected[];
  }[];
  const folders = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (folders.length !== expected.length) throw new Error('expected.json is not of the vectors that are there');
  return expected.map(({ case: name, in: port, packets }) => {
    const folder = `${FOLDER}${name}/`;
    const frames = (file: string) => [...PcapReader.open(`${folder}${file}`)].map(({ bytes }) => bytes);
    const given = frames('in.pcap');
    const vpp = frames('out.pcap').map((bytes) => Buffer.from(bytes).toString('hex'));
    return {
      name,
      folder,
      in: port,
      setup: parseVpp(readFileSync(`${folder}config.txt`, 'utf8')),
      packets: packets.map((row) => ({
        number: row.packet,
        title: `packet ${row.packet}, ${row.what}: ${row.why ?? (row.vpp?.length === 0 ? 'dropped, as by VPP' : 'as VPP')}`,
        frame: given[row.packet]!,
        sent: row.vpp?.map((place) => vpp[place]!) ?? row.sent!,
        punted: row.punted ?? false,
      })),
    };
  });
}

/** Takes over the commands of VPP that config.txt has. @throws Error if one is not known */
export function parseVpp(text: string): VectorSetup {
  const interfaces = new Map<string, { name: string; mac: string; mtu: number; addresses: string[] }>();
  const neighbours: { address: string; interface: string; mac: string }[] = [];
  const routes: { prefix: string; via: string; interface: string }[] = [];
  const commands: string[] = [];
  const patterns: [RegExp, (...parts: string[]) => void][] = [
    [
      /^create packet-generator interface (\S+)$/,
      (name) => void interfaces.set(name!, { name: name!, mac: '', mtu: VPP_MTU, addresses: [] }),
    ],
    [/^set interface mac address (\S+) (\S+)$/, (name, mac) => (interfaces.get(name!)!.mac = mac!)],
    [/^set interface state (\S+) up$/, () => {}],
    [/^set interface ip address (\S+) (\S+)$/, (name, address) => interfaces.get(name!)!.addresses.push(address!)],
    [/^set interface mtu packet (\d+) (\S+)$/, (mtu, name) => (interfaces.get(name!)!.mtu = Number(mtu))],
    [
      /^set ip neighbor static (\S+) (\S+) (\S+)$/,
      (port, address, mac) => neighbours.push({ address: address!, interface: port!, mac: mac! }),
    ],
    [
      /^ip route add (\S+) via (\S+) (\S+)$/,
      (prefix, via, port) => routes.push({ prefix: prefix!, via: via!, interface: port! }),
    ],
    [/^(lb .*)$/, (command) => commands.push(command!)],
  ];
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [match, apply] =
      patterns.map(([pattern, then]) => [pattern.exec(line), then] as const).find(([m]) => m) ?? [];
    if (!match || !apply) throw new Error(`config.txt: what does "${line}" mean?`);
    apply(...match.slice(1));
  }
  return { interfaces: [...interfaces.values()], neighbours, routes, commands };
}

/** Takes the frames expected out of those that were seen. @throws Error that says which are not there */
export function takeOut(seen: string[], expected: readonly string[]): void {
  for (const frame of expected) {
    const at = seen.indexOf(frame);
    if (at < 0) throw new Error(`${frame}\n is not among what left:\n${nearest(frame, seen) ?? 'nothing'}`);
    seen.splice(at, 1);
  }
}

/** The one that has most in common. */
function nearest(frame: string, seen: readonly string[]): string | undefined {
  const common = (other: string) =>
    [...frame].filter((digit, i) => other[i] === digit).length - Math.abs(other.length - frame.length);
  return [...seen].sort((a, b) => common(b) - common(a))[0];
}
