export type StickyErrorCode =
  /** A table can't be made with these options. */
  'LBD_STICKY_OPTIONS';

/** What a sticky table refuses. Nothing has changed. */
export class StickyError extends Error {
  readonly code: StickyErrorCode;
  constructor(code: StickyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
