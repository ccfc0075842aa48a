// npm test: everything from a fresh clone to a verdict. The last line is `N passed, N failed`, with `, N skipped` if any.
// `--long` adds the tests that take minutes; other arguments choose files: npm test -- packages/fib
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { program, ROOT, run, UserError } from './process.mjs';

await program(async () => {
  const args = process.argv.slice(2);
  const filters = args.filter((arg) => arg !== '--long');
  const env = { ...process.env, ...(args.includes('--long') ? { LBD_TEST_LONG: '1' } : {}) };

  let totals;
  try {
    await bootstrap('test');
    totals = await vitest(filters, { ...env, PATH: process.env.PATH });
  } catch (error) {
    process.stderr.write(`\n${error instanceof UserError ? error.message : error.stack}\n`);
    totals = { passed: 0, failed: 1, skipped: 0 };
  }
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
  return totals.failed > 0 ? 1 : 0;
});

async function vitest(filters, env) {
  const folder = mkdtempSync(join(tmpdir(), 'lbd-test-'));
  const report = join(folder, 'report.json');
  try {
    const flags = ['run', '--reporter', join(ROOT, 'tools/run/reporter.mjs')];
    const code = await run('vitest', [...flags, ...filters], { env: { ...env, LBD_TEST_REPORT: report } });
    const totals = readReport(report);
    // A crashed worker, an unhandled error, or no test at all: vitest failed, though no single test did.
    if (totals.passed + totals.failed + totals.skipped === 0) process.stderr.write('no test was found\n');
    if (totals.failed === 0 && (code !== 0 || totals.passed + totals.skipped === 0)) totals.failed = 1;
    return totals;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
