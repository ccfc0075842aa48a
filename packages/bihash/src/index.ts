export { Bihash, type BihashEntry, type BihashKeyBytes, type BihashOptions, type BihashStats } from './bihash.ts';
export { BihashError, type BihashErrorCode } from './errors.ts';
export type { BihashKey } from './key.ts';
export * from './layout.ts';
