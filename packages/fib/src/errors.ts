/** What the tables and nodes refuse. The message says what was wrong and what is allowed; nothing has changed. */
export class FibError extends Error {
  readonly code:
    | 'LBD_FIB_PREFIX'
    | 'LBD_FIB_DPO'
    | 'LBD_FIB_EXISTS'
    | 'LBD_FIB_UNKNOWN'
    | 'LBD_FIB_FULL'
    | 'LBD_FIB_OPTION';
  constructor(code: FibError['code'], message: string) {
    super(message);
    this.name = 'FibError';
    this.code = code;
  }
}
