// A vitest reporter: one line a file while it runs, failures and skips in full at the end.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Writes the totals to the file that LBD_TEST_REPORT names, for test.mjs. */
export default class Reporter {
  totals = { passed: 0, failed: 0, skipped: 0 };
  skips = [];

  onInit(vitest) {
    this.vitest = vitest;
  }

  onTestModuleEnd(module) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const test of module.children.allTests()) this.#count(test, counts);
    // A file that could not be loaded, or a hook that failed, is a failure though no test is to blame.
    if (module.errors().length > 0) counts.failed++;
    for (const suite of module.children.allSuites()) if (suite.errors().length > 0) counts.failed++;
    if (module.state() === 'failed' && counts.failed === 0) counts.failed++;
    for (const state of Object.keys(counts)) this.totals[state] += counts[state];
    const name = relative(process.cwd(), module.moduleId);
    const seconds = (module.diagnostic().duration / 1000).toFixed(1);
    const parts = Object.keys(counts).filter((state) => counts[state] > 0);
    const summary = parts.map((state) => `${counts[state]} ${state}`).join(', ') || 'no tests';
    console.log(`${counts.failed > 0 ? '✗' : '✓'} ${name}  ${summary}  ${seconds} s`);
    for (const test of module.children.allTests('failed')) console.log(`    ✗ ${test.fullName}`);
  }

  onTestRunEnd(modules, unhandled, reason) {
    for (const skip of this.skips) console.log(`skipped: ${skip}`);
    this.#printErrors(modules, unhandled);
    const path = process.env.LBD_TEST_REPORT;
    if (path) writeFileSync(path, JSON.stringify({ ...this.totals, unhandled: unhandled.length, reason }));
  }

  /** What a test or a worker prints on its own is shown as it is. */
  onUserConsoleLog(log) {
    process[log.type].write(log.content);
  }

  #count(test, counts) {
    const { state, note } = test.result();
    if (state === 'passed' || state === 'failed') {
      counts[state]++;
      return;
    }
    counts.skipped++;
    const file = relative(process.cwd(), test.module.moduleId);
    this.skips.push(`${file}: ${test.fullName}${note ? ` (${note})` : ''}`);
  }

  #printErrors(modules, unhandled) {
    const print = (title, errors) => {
      this.vitest.logger.error(`\n✗ ${title}`);
      for (const error of errors) this.vitest.logger.printError(error, { fullStack: false });
    };
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      if (module.errors().length > 0) print(file, module.errors());
      for (const suite of module.children.allSuites()) {
        if (suite.errors().length > 0) print(`${file}: ${suite.fullName}`, suite.errors());
      }
      for (const test of module.children.allTests('failed'))
        print(`${file}: ${test.fullName}`, test.result().errors ?? []);
    }
    if (unhandled.length > 0) print('errors outside of any test', unhandled);
  }
}
