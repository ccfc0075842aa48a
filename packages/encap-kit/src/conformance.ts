import type { Encap } from '@lbd/lb';
import { describe, it } from 'vitest';
import { type ConformanceOptions, conformanceChecks } from './checks.ts';

/**
 * Registers, under vitest, a test for each thing that must be true of an encap. For another test runner, or none, see
 * {@link conformanceChecks}.
 */
export function conformance(encap: Encap, options: ConformanceOptions = {}): void {
  const told = options.options === undefined ? '' : ` with ${JSON.stringify(options.options)}`;
  describe(`encap ${encap.name}${told}`, () => {
    for (const { name, run } of conformanceChecks(encap, options)) it(name, run);
  });
}
