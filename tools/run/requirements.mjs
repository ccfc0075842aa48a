// What lbd needs from the system, and which Debian package brings it.
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { collect, UserError } from './process.mjs';

const NODE_MAJOR = 20;

/** The programs looked for, with the Debian package of each. */
const BUILD = { 'g++': 'g++', make: 'make', python3: 'python3' };
const LAB = { ip: 'iproute2', unshare: 'util-linux', nsenter: 'util-linux', setpriv: 'util-linux' };
const TEST = { ...LAB, nft: 'nftables', tcpdump: 'tcpdump', ethtool: 'ethtool' };
const BENCH = { ...LAB, nft: 'nftables', ethtool: 'ethtool' };
/** What each command of the repository needs, beyond what the build needs. */
const PURPOSES = { build: {}, start: LAB, test: TEST, bench: BENCH };

/** Checks Node and the system, and installs missing Debian packages if it may. Throws a UserError that names them if not. */
export async function requireSystem(purpose, say) {
  const major = Number(process.versions.node.split('.')[0]);
  if (process.platform !== 'linux') throw new UserError(`lbd runs on Linux only; this is ${process.platform}`);
  if (major < NODE_MAJOR) throw new UserError(`lbd needs Node ${NODE_MAJOR} or newer; this is ${process.version}`);

  const missing = await missingPackages(purpose);
  if (missing.length === 0) return;
  const command = `apt-get install ${missing.join(' ')}`;
  if (!isDebian()) throw new UserError(`these are missing (names of their Debian packages): ${missing.join(', ')}`);
  if (process.getuid() !== 0) throw new UserError(`Debian packages missing: ${missing.join(', ')}\n  sudo ${command}`);

  say(`installing Debian packages: ${missing.join(', ')}`);
  const result = await aptInstall(missing);
  const still = await missingPackages(purpose);
  if (still.length > 0) {
    throw new UserError(
      `${result.output.trim()}\n\nDebian packages missing, and apt-get did not install them: ${still.join(', ')}`,
    );
  }
}

async function missingPackages(purpose) {
  const programs = { ...BUILD, ...PURPOSES[purpose] };
  const missing = new Set(
    Object.keys(programs)
      .filter((name) => !onPath(name))
      .map((name) => programs[name]),
  );
  if (purpose === 'test' && !(await hasScapy())) missing.add('python3-scapy');
  return [...missing].sort();
}

/** The system's Python, not one that a version manager puts before it: python3-scapy belongs to it. */
async function hasScapy() {
  const probe = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("scapy") is None)';
  return (await collect('/usr/bin/python3', ['-c', probe])).code === 0;
}

function onPath(name) {
  // /usr/sbin is not on an ordinary user's path on Debian, but ip and tcpdump may be only there.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, name)));
}

function isDebian() {
  if (!existsSync('/etc/os-release') || !onPath('apt-get')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

async function aptInstall(packages) {
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const install = () => collect('apt-get', ['install', '-y', '--no-install-recommends', ...packages], options);
  const first = await install();
  if (first.code === 0) return first;
  // Package lists are absent (a fresh container) or too old to find the package at its address.
  const update = await collect('apt-get', ['update'], options);
  return update.code === 0 ? install() : update;
}
