import { defineConfig } from 'vitest/config';

const LONG = '**/*.long.test.ts';
const never = ['**/node_modules/**', '**/dist/**', '**/.cache/**'];

// Three kinds of test, one after the other (groupOrder): unit tests in parallel; end-to-end tests, which own the machine
// while they run, one file at a time; and with --long the tests that take minutes, also one at a time.
const unit = {
  name: 'unit',
  include: ['{packages,tools}/*/src/**/*.test.ts', 'native/src/**/*.test.ts', 'tools/run/*.test.ts'],
  exclude: [...never, LONG],
  testTimeout: 30_000,
  sequence: { groupOrder: 0 },
};
const e2e = {
  name: 'e2e',
  include: ['{packages,tools}/*/test/**/*.e2e.test.ts', 'native/test/**/*.e2e.test.ts'],
  exclude: [...never, LONG],
  testTimeout: 60_000,
  hookTimeout: 60_000,
  fileParallelism: false,
  maxWorkers: 1,
  sequence: { groupOrder: 1 },
};
const long = {
  name: 'long',
  include: [LONG],
  exclude: never,
  testTimeout: 1_800_000,
  hookTimeout: 120_000,
  fileParallelism: false,
  maxWorkers: 1,
  sequence: { groupOrder: 2 },
};

const projects = process.env.LBD_TEST_LONG ? [unit, e2e, long] : [unit, e2e];

export default defineConfig({
  test: {
    pool: 'forks',
    projects: projects.map((test) => ({ extends: true as const, test })),
  },
});
