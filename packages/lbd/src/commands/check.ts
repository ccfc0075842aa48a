import { loadConfig } from '@lbd/control';
import { report } from './report.ts';

/** `lbd --check-config`. @returns the exit code */
export function check(file: string): number {
  try {
    loadConfig(file);
  } catch (error) {
    report(error);
    return 1;
  }
  process.stdout.write(`${file}: good\n`);
  return 0;
}
