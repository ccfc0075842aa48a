/** A thread in which a plugin is tried: it may throw, loop or end the thread, and lbd goes on. */
import { parentPort, workerData } from 'node:worker_threads';
import { encapsOf } from './exports.ts';
import { importPackage } from './import.ts';
import type { ProbeAnswer, ProbeTask } from './probe.ts';
import { rehearse } from './rehearse.ts';

const { plugin, options, memory } = workerData as ProbeTask;
let answer: ProbeAnswer = {};
try {
  const encaps = encapsOf(await importPackage(plugin));
  for (const encap of encaps) await rehearse(encap, options[encap.name], memory);
} catch (error) {
  answer = { refused: reasonOf(error) };
}
parentPort!.postMessage(answer);

/** What was thrown, which may be anything, in words. */
function reasonOf(thrown: unknown): string {
  try {
    const { message } = (thrown ?? {}) as { message?: unknown };
    return typeof message === 'string' && message !== '' ? message : String(thrown);
  } catch {
    return 'it throws something that can not be printed';
  }
}
