import { z } from 'zod';
import { COPY_DSCP, COPY_ECN } from './layout.ts';

const marking = () => z.enum(['zero', 'copy']).default('zero');

/** What the configuration may say of gre4 and gre6. */
export const greOptions = z.strictObject({
  dscp: marking().describe('DSCP of outer headers: 0, or that of the packet inside (RFC 2983, uniform model).'),
  ecn: marking().describe(
    'ECN field of outer headers: 0 (RFC 6040, compatibility mode), or that of the packet inside (normal mode).',
  ),
});

export type GreOptions = z.output<typeof greOptions>;

/** What the workers are told. Plain data. */
export interface GreState {
  /** Bits of the inner TOS or traffic class that the outer one has, too. */
  readonly copied: number;
}

export function greState({ dscp, ecn }: GreOptions): GreState {
  return { copied: (dscp === 'copy' ? COPY_DSCP : 0) | (ecn === 'copy' ? COPY_ECN : 0) };
}
