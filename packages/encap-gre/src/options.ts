import { z } from 'zod';
import { COPY_DF, COPY_DSCP, COPY_ECN } from './layout.ts';

const marking = () => z.enum(['zero', 'copy']).default('zero');

/** What the configuration may say of gre6. */
export const greOptions = z.strictObject({
  dscp: marking().describe('DSCP of outer headers: 0, or that of the packet inside (RFC 2983, uniform model).'),
  ecn: marking().describe(
    'ECN field of outer headers: 0 (RFC 6040, compatibility mode), or that of the packet inside (normal mode).',
  ),
});

/** What it may say of gre4. */
export const gre4Options = greOptions.extend({
  df: marking().describe(
    'DF of outer headers: 0, so that routers on the way may fragment them, or that of the packet inside (RFC 2003, section 3.1); with an IPv6 packet inside, set.',
  ),
});

export type GreOptions = z.output<typeof greOptions> & { readonly df?: z.output<typeof gre4Options>['df'] };

/** What the workers are told. Plain data. */
export interface GreState {
  /** What the outer header takes over from the inner one: COPY_ bits of layout.ts. */
  readonly copied: number;
}

export function greState({ dscp, ecn, df }: GreOptions): GreState {
  return {
    copied: (dscp === 'copy' ? COPY_DSCP : 0) | (ecn === 'copy' ? COPY_ECN : 0) | (df === 'copy' ? COPY_DF : 0),
  };
}
