// From a fresh clone to a built repository: checks the system, installs the pinned pnpm and the dependencies, and
// builds. Says nothing where there is nothing to do.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collect, program, ROOT, UserError } from './process.mjs';
import { requireSystem } from './requirements.mjs';

const PNPM_HOME = join(ROOT, '.cache/pnpm');
const PNPM_BIN = join(PNPM_HOME, 'node_modules/.bin');
const STAMP = join(ROOT, 'node_modules/.lbd-install');

/**
 * Makes the repository ready for `purpose` ('build', 'start', 'test' or 'bench').
 * Throws a UserError with what went wrong; then nothing else should be run.
 */
export async function bootstrap(purpose = 'build') {
  const started = Date.now();
  await requireSystem(purpose, say);
  // Neither turbo nor anything else that we start tells anyone of it, nor says that it would.
  Object.assign(process.env, {
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_TELEMETRY_MESSAGE_DISABLED: '1',
    DO_NOT_TRACK: '1',
  });
  process.env.PATH = `${PNPM_BIN}:${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}:/usr/sbin:/sbin`;
  await installPnpm();
  await installDependencies();
  await buildAddon();
  await build(started);
}

async function installPnpm() {
  const [name, version] = readJson('package.json').packageManager.split('@');
  const installed = join(PNPM_HOME, 'node_modules', name, 'package.json');
  if (existsSync(installed) && JSON.parse(readFileSync(installed, 'utf8')).version === version) return;
  say(`installing ${name} ${version}`);
  mkdirSync(PNPM_HOME, { recursive: true });
  // Its own package.json keeps npm from taking the repository for the project to install into.
  writeFileSync(join(PNPM_HOME, 'package.json'), '{ "private": true }\n');
  const flags = ['--save-exact', '--no-audit', '--no-fund', '--loglevel=error'];
  await must('npm', ['install', `${name}@${version}`, ...flags], { cwd: PNPM_HOME });
}

async function installDependencies() {
  const wanted = installFingerprint();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  say('installing dependencies');
  await must('pnpm', ['install', '--frozen-lockfile'], { env: { ...process.env, CI: 'true' } });
  writeFileSync(STAMP, wanted);
}

/** Changes whenever `pnpm install` would do something: other dependencies, or another Node. */
function installFingerprint() {
  const hash = createHash('sha256').update(process.version);
  const add = (path) => hash.update(path).update(readFileSync(join(ROOT, path)));
  for (const path of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc']) add(path);
  for (const folder of workspaceFolders()) add(join(folder, 'package.json'));
  return hash.digest('hex');
}

/** The folders of the workspace's packages, relative to the root. */
export function workspaceFolders() {
  const children = (folder) => readdirSync(join(ROOT, folder)).map((name) => join(folder, name));
  return [...children('packages'), 'native', ...children('tools')]
    .filter((folder) => existsSync(join(ROOT, folder, 'package.json')))
    .sort();
}

/** The addon is built when it is installed, but its sources change with the repository. Does nothing if they have not. */
async function buildAddon() {
  const addon = join(ROOT, 'native/build/Release/lbd_native.node');
  const { code, output } = await collect(process.execPath, ['native/install.mjs']);
  if (code !== 0 || !existsSync(addon)) throw new UserError(`${output.trim()}\n\nthe native addon was not built`);
}

async function build(started) {
  const flags = ['run', 'build', '--output-logs=errors-only', '--no-update-notifier'];
  // Turbo says nothing until it is done; say what is going on if it takes a while.
  const slow = setTimeout(() => say('building (the first time takes a minute or two)'), 1500);
  const { code, output } = await collect('turbo', flags);
  clearTimeout(slow);
  if (code !== 0) throw new UserError(`${output.trim()}\n\nthe build failed`);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (!output.includes('FULL TURBO')) say(`built in ${seconds} s`);
}

async function must(command, args, options) {
  const { code, output } = await collect(command, args, options);
  if (code !== 0) throw new UserError(`${output.trim()}\n\n"${command} ${args.join(' ')}" failed (exit code ${code})`);
}

function readJson(path) {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

function say(text) {
  process.stderr.write(`lbd: ${text}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await program(() => bootstrap('build'));
