// npm run check: formatting, lint, and the types of the tests, which the build leaves out.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { collect, program, ROOT, run } from './process.mjs';

/** What is checked, and the command that does it. The second needs what the build makes: packages see each other's dist. */
export const CHECKS = [
  { name: 'is formatted and free of lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { name: 'has tests whose types are right', command: ['tsc', '--project', 'tsconfig.tests.json'] },
];

/**
 * Runs one of them quietly.
 * @param {readonly string[]} command
 * @returns {Promise<{ code: number, output: string }>} code 0 if all is well, and what it printed
 */
export function check(command) {
  const [name, ...args] = command;
  return collect(join(ROOT, 'node_modules/.bin', name), args, { env: { ...process.env, NO_COLOR: '1' } });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await program(async () => {
    await bootstrap('build');
    let failed = 0;
    for (const { command } of CHECKS) failed += (await run(command[0], command.slice(1))) === 0 ? 0 : 1;
    return failed === 0 ? 0 : 1;
  });
}
