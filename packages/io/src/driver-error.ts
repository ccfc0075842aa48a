/** What can go wrong when a driver opens a port; the message says what was wrong and what is allowed. */
export type DriverErrorCode =
  /** An option of the port is unknown or has a bad value. */
  | 'LBD_DRIVER_OPTION'
  /** There is no such interface or file. */
  | 'LBD_DRIVER_NO_INTERFACE'
  /** The process lacks a privilege. */
  | 'LBD_DRIVER_PRIVILEGE'
  /** The kernel or the file system refused for another reason. */
  | 'LBD_DRIVER_OPEN';

export class DriverError extends Error {
  readonly code: DriverErrorCode;
  constructor(code: DriverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DriverError';
    this.code = code;
  }
}
