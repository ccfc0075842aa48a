import { COPY_DSCP, COPY_ECN } from './layout.ts';

/** What the configuration may say of gre4 and gre6. */
export interface GreOptions {
  /** DSCP of outer headers: 0, or that of the packet inside (RFC 2983, uniform model). `zero` unless told. */
  readonly dscp?: Marking;
  /** ECN field of outer headers: 0 (RFC 6040, compatibility mode), or that of the packet inside (normal mode). `zero` unless told. */
  readonly ecn?: Marking;
}

export type Marking = 'zero' | 'copy';

/** What the workers are told. Plain data. */
export interface GreState {
  /** Bits of the inner TOS or traffic class that the outer one has, too. */
  readonly copied: number;
}

/** @throws RangeError if an option is none, or has a value that is not allowed */
export function greState(options: Readonly<Record<string, unknown>>): GreState {
  for (const [name, value] of Object.entries(options)) {
    if (name !== 'dscp' && name !== 'ecn') throw new RangeError(`option ${name}: there is dscp and ecn`);
    if (value !== 'zero' && value !== 'copy') throw new RangeError(`${name} ${value}: must be zero or copy`);
  }
  return { copied: (options.dscp === 'copy' ? COPY_DSCP : 0) | (options.ecn === 'copy' ? COPY_ECN : 0) };
}
