/**
 * Classic BPF (bpf(4)), as far as packet filters here use it: instructions, and programs put together of parts. Parts are
 * relocatable: they are left at their end, or by accepting or rejecting the packet.
 */
export type Instruction = readonly [code: number, k: number, jumpTrue?: number, jumpFalse?: number];
export type Code = readonly Instruction[];

/** Instructions that the kernel takes, at most (BPF_MAXINSNS). */
export const MOST_INSTRUCTIONS = 4096;

/** Bytes of an accepted packet that are passed on: all of them. */
const ALL = 0x40000;

export const accept: Instruction = [0x06, ALL];
export const reject: Instruction = [0x06, 0];

// A is the accumulator, X the index register; M[] has 16 words. A load beyond the packet rejects it.
/** A = the word, half word or byte at k. */
export const word = (k: number): Instruction => [0x20, k];
export const half = (k: number): Instruction => [0x28, k];
export const byte = (k: number): Instruction => [0x30, k];
/** A = the word, half word or byte at X + k. */
export const wordX = (k: number): Instruction => [0x40, k];
export const halfX = (k: number): Instruction => [0x48, k];
export const byteX = (k: number): Instruction => [0x50, k];
/** X = 4 * (the byte at k & 15): bytes of an IPv4 header. */
export const headerToX = (k: number): Instruction => [0xb1, k];
export const constant = (k: number): Instruction => [0x00, k];
export const and = (k: number): Instruction => [0x54, k];
export const shiftLeft = (k: number): Instruction => [0x64, k];
/** A += X, A |= X, A ^= X, X = A. */
export const addX: Instruction = [0x0c, 0];
export const orX: Instruction = [0x4c, 0];
export const xorX: Instruction = [0xac, 0];
export const toX: Instruction = [0x07, 0];
/** M[k] = A, A = M[k], X = M[k]. */
export const store = (k: number): Instruction => [0x02, k];
export const stored = (k: number): Instruction => [0x60, k];
export const storedToX = (k: number): Instruction => [0x61, k];

const jump = (over: number): Instruction => [0x05, over];
/** Instructions that a conditional jump can leave out; a longer one jumps twice. */
const MOST_CONDITIONAL = 255;
const JUMP_EQUAL = 0x15;
const JUMP_SET = 0x45;

/** Runs `body` if A is `k`, else `other`. */
export function when(k: number, body: Code, other: Code = []): Code {
  return choose([JUMP_EQUAL, k, 1, 0], body, other);
}

/** Runs `body` if A has one of the bits of `k`, else `other`. */
export function whenSet(k: number, body: Code, other: Code = []): Code {
  return choose([JUMP_SET, k, 1, 0], body, other);
}

function choose(test: Instruction, body: Code, other: Code): Code {
  const [code, k] = test;
  if (other.length === 0 && body.length <= MOST_CONDITIONAL) return [[code, k, 0, body.length], ...body];
  const behind = other.length > 0 ? [jump(other.length), ...other] : [];
  return [test, jump(body.length + Math.min(1, other.length)), ...body, ...behind];
}

/** Runs `body` if A is one of `values`, else `other`. */
export function whenOneOf(values: readonly number[], body: Code, other: Code = []): Code {
  const tests = values.flatMap((value, i): Code => [[JUMP_EQUAL, value, 0, 1], jump(2 * (values.length - 1 - i) + 1)]);
  const behind = other.length > 0 ? [jump(other.length), ...other] : [];
  return [...tests, jump(body.length + Math.min(1, other.length)), ...body, ...behind];
}

/** Rejects unless A is one of `values`. */
export const need = (...values: readonly number[]): Code => [...anyOf(values), reject];

/** Rejects if A is one of `values`, or has one of the bits. */
export const not = (...values: readonly number[]): Code => [...anyOf(values), jump(1), reject];
export const without = (bits: number): Code => whenSet(bits, [reject]);

/** Leaves out the instruction behind if A is one of `values`. */
function anyOf(values: readonly number[]): Code {
  return values.map((value, i) => [JUMP_EQUAL, value, values.length - i, 0]);
}

/** struct sock_filter: u16 code, u8 jump if true, u8 jump if false, u32 k; in the machine's order. */
export function encode(program: Code): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, k, jumpTrue = 0, jumpFalse = 0]] of program.entries()) {
    view.setUint16(i * 8, code, true);
    bytes[i * 8 + 2] = jumpTrue;
    bytes[i * 8 + 3] = jumpFalse;
    view.setUint32(i * 8 + 4, k, true);
  }
  return bytes;
}
