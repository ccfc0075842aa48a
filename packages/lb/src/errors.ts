export type LbErrorCode =
  | 'LBD_LB_VIP_EXISTS'
  | 'LBD_LB_NO_VIP'
  | 'LBD_LB_VIP_CONFLICT'
  | 'LBD_LB_AS_EXISTS'
  | 'LBD_LB_NO_AS'
  | 'LBD_LB_AS_LOOPS'
  | 'LBD_LB_FAMILY'
  | 'LBD_LB_ENCAP'
  | 'LBD_LB_ENCAP_OPTIONS'
  | 'LBD_LB_INVALID'
  | 'LBD_LB_FULL';

/** An operation that was refused; nothing has changed. The message says what was wrong and what is allowed. */
export class LbError extends Error {
  readonly code: LbErrorCode;
  constructor(code: LbErrorCode, message: string) {
    super(message);
    this.name = 'LbError';
    this.code = code;
  }
}
