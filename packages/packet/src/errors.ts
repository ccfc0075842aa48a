/** Bytes that are not what a parser was told they are. The message says what was wrong and what is allowed. */
export class PacketError extends Error {
  readonly code: 'LBD_PACKET_TRUNCATED' | 'LBD_PACKET_MALFORMED' | 'LBD_PACKET_FIELD';
  /** The protocol that was parsed or built. */
  readonly protocol: string;
  constructor(code: PacketError['code'], protocol: string, what: string) {
    super(`${protocol}: ${what}`);
    this.name = 'PacketError';
    this.code = code;
    this.protocol = protocol;
  }
}

/** @throws PacketError if fewer than `need` bytes are there */
export function need(protocol: string, bytes: Uint8Array, need: number, what = 'header'): void {
  if (bytes.length >= need) return;
  throw new PacketError('LBD_PACKET_TRUNCATED', protocol, `${what} needs ${need} bytes, ${bytes.length} are there`);
}

export function malformed(protocol: string, what: string): PacketError {
  return new PacketError('LBD_PACKET_MALFORMED', protocol, what);
}

/** @throws PacketError unless `value` is an integer that fits `bits` bits */
export function fits(protocol: string, field: string, value: number, bits: number): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** bits) return value;
  const what = `${field} ${value} must be an integer from 0 to ${2 ** bits - 1}`;
  throw new PacketError('LBD_PACKET_FIELD', protocol, what);
}

/** Text that is not an address or a prefix. */
export class AddressError extends Error {
  readonly code = 'LBD_ADDRESS';
  constructor(text: string, allowed: string) {
    super(`'${text}' is not ${allowed}`);
    this.name = 'AddressError';
  }
}
