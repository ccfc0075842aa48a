// npm start: builds, then runs the demonstration. With --keep it leaves it running in the background.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { bootstrap } from './bootstrap.mjs';
import { program, ROOT } from './process.mjs';

await program(async () => {
  await bootstrap('start');
  const keep = process.argv.includes('--keep');
  // What is to stay up must be in a session of its own, out of the reach of this terminal's Ctrl-C; what is not, not.
  // The IPC channel tells each side when the other is gone.
  const child = spawn(process.execPath, ['tools/demo/dist/index.js', ...process.argv.slice(2)], {
    cwd: ROOT,
    detached: keep,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
    child.on('message', () => {
      child.disconnect();
      child.unref();
      resolve(0);
    });
  }).finally(() => setImmediate(() => process.exit()));
});
