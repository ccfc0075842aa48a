export type MaglevErrorCode =
  /** The length of a new-flow table is not a power of two in range. */
  | 'LBD_MAGLEV_LENGTH'
  /** A weight is not a whole number from 0 to 100. */
  | 'LBD_MAGLEV_WEIGHT'
  /** An address has neither 4 nor 16 bytes. */
  | 'LBD_MAGLEV_ADDRESS'
  /** Two servers have the same address: whose turn it is would depend on the order they came in. */
  | 'LBD_MAGLEV_DUPLICATE'
  /** The key of the keyed flow hash has not 16 bytes. */
  | 'LBD_MAGLEV_KEY';

/** What this package refuses. Nothing has changed. */
export class MaglevError extends Error {
  readonly code: MaglevErrorCode;
  constructor(code: MaglevErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
