/** An error that a user can act on. Its code is stable: programs may compare it. */
export interface CodedError extends Error {
  readonly code: string;
}

/** Thrown for input that control itself refuses; errors of the model pass through with their own codes. */
export class ControlError extends Error implements CodedError {
  readonly code: string;

  /** @param code `LBD_...`, stable; @param message what was wrong, and what is allowed */
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ControlError';
    this.code = code;
  }
}

/** Whether this is an error meant for the user (it has a code of ours), not a fault in lbd. */
export function isCoded(error: unknown): error is CodedError {
  return (
    error instanceof Error &&
    typeof (error as { code?: unknown }).code === 'string' &&
    /^LBD_/.test((error as CodedError).code)
  );
}
