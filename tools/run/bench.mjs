// npm run bench: builds, then runs the benchmarks with the arguments given. See tools/bench/README.md.
import { bootstrap } from './bootstrap.mjs';
import { program, run } from './process.mjs';

await program(async () => {
  await bootstrap('bench');
  return run(process.execPath, ['tools/bench/dist/index.js', ...process.argv.slice(2)]);
});
