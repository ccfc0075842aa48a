export type BihashErrorCode =
  /** No room for a larger page-set; give the table more `memoryBytes` or more buckets. */
  | 'LBD_BIHASH_FULL'
  /** The value is not a u64, or is 2^64 - 1, which marks free entries. */
  | 'LBD_BIHASH_VALUE'
  /** The key has not the table's size. */
  | 'LBD_BIHASH_KEY'
  /** A bihash can't be made with these options. */
  | 'LBD_BIHASH_OPTIONS'
  /** There is no bihash at this address. */
  | 'LBD_BIHASH_ADDRESS';

/** What a bihash refuses. Nothing has changed. */
export class BihashError extends Error {
  readonly code: BihashErrorCode;
  constructor(code: BihashErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
