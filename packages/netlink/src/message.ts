import * as C from './constants.ts';
import { NetlinkError } from './netlink-error.ts';

/**
 * Netlink messages (RFC 3549, netlink(7)). All words are in the byte order of the machine, which is little-endian here;
 * addresses within attributes are in network order.
 *
 * Header, 16 bytes: u32 length with the header, u16 type, u16 flags, u32 sequence number, u32 port.
 * Attribute: u16 length with this header, u16 type, the value, padding to 4 bytes.
 */
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** Attribute types have flags in their top bits. */
const ATTRIBUTE_TYPE = 0x3fff;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  /** What follows the header: valid as long as the bytes it was parsed from. */
  readonly body: Bytes;
}

/** Attributes by type; of a type that is there twice, the last. */
export type Attributes = ReadonlyMap<number, Bytes>;

/** Takes a datagram apart. @throws NetlinkError if a length does not fit */
export function parseMessages(datagram: Uint8Array): Message[] {
  const messages: Message[] = [];
  const all = new Bytes(datagram);
  for (let at = 0; at < datagram.length; ) {
    const length = datagram.length - at < HEADER_BYTES ? 0 : all.u32(at);
    if (length < HEADER_BYTES || at + length > datagram.length) {
      throw malformed(`a message of ${length} bytes in the ${datagram.length - at} that are left`);
    }
    messages.push({
      type: all.u16(at + 4),
      flags: all.u16(at + 6),
      sequence: all.u32(at + 8),
      port: all.u32(at + 12),
      body: all.slice(at + HEADER_BYTES, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** The attributes behind the first `from` bytes. @throws NetlinkError if a length does not fit */
export function parseAttributes(bytes: Bytes, from = 0): Attributes {
  const attributes = new Map<number, Bytes>();
  for (let at = from; at + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.u16(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) {
      throw malformed(`an attribute of ${length} bytes in the ${bytes.length - at} that are left`);
    }
    attributes.set(bytes.u16(at + 2) & ATTRIBUTE_TYPE, bytes.slice(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return attributes;
}

export interface Request {
  readonly type: number;
  readonly flags: number;
  /** The fixed part of the body. */
  readonly fixed: Uint8Array;
  readonly attributes?: readonly (readonly [type: number, value: Uint8Array])[];
}

/** Makes the message of a request. */
export function buildMessage(request: Request, sequence: number): Uint8Array {
  const { type, flags, fixed, attributes = [] } = request;
  const sizes = attributes.map(([, value]) => aligned(ATTRIBUTE_HEADER_BYTES + value.length));
  const length = sizes.reduce((sum, size) => sum + size, HEADER_BYTES + aligned(fixed.length));
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags | C.NLM_F_REQUEST, true);
  view.setUint32(8, sequence, true);
  bytes.set(fixed, HEADER_BYTES);
  let at = HEADER_BYTES + aligned(fixed.length);
  for (const [i, [type, value]] of attributes.entries()) {
    view.setUint16(at, ATTRIBUTE_HEADER_BYTES + value.length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(value, at + ATTRIBUTE_HEADER_BYTES);
    at += sizes[i]!;
  }
  return bytes;
}

/** The kernel's answer NLMSG_ERROR: undefined if it is a mere acknowledgement. */
export function parseError(message: Message, what: string): NetlinkError | undefined {
  const errno = message.body.i32(0);
  if (errno === 0) return undefined;
  let text: string | undefined;
  if ((message.flags & C.NLM_F_ACK_TLVS) !== 0) {
    const quoted = (message.flags & C.NLM_F_CAPPED) !== 0 ? HEADER_BYTES : aligned(message.body.u32(4));
    text = parseAttributes(message.body, 4 + quoted)
      .get(C.NLMSGERR_ATTR_MSG)
      ?.text();
  }
  return NetlinkError.ofKernel(what, -errno, text);
}

/** Bytes with accessors for words in the machine's order. */
export class Bytes {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get length(): number {
    return this.bytes.length;
  }
  slice(from: number, to: number): Bytes {
    return new Bytes(this.bytes.subarray(from, to));
  }
  u8(at = 0): number {
    return this.bytes[at]!;
  }
  u16(at = 0): number {
    return this.#view.getUint16(at, true);
  }
  u32(at = 0): number {
    return this.#view.getUint32(at, true);
  }
  i32(at = 0): number {
    return this.#view.getInt32(at, true);
  }
  /** Text that ends with a zero byte or with the value. */
  text(): string {
    const end = this.bytes.indexOf(0);
    return new TextDecoder().decode(this.bytes.slice(0, end < 0 ? undefined : end));
  }
}

/** @throws NetlinkError unless there are `bytes` bytes for the fixed part of a message */
export function needFixed(body: Bytes, bytes: number): void {
  if (body.length < bytes) throw malformed(`a body of ${body.length} bytes, where ${bytes} come before the attributes`);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function malformed(what: string): NetlinkError {
  return new NetlinkError('LBD_NETLINK_MALFORMED', `netlink: the kernel sent ${what}`);
}
