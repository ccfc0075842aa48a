import type { BpfAssembler } from '../bpf-assembler.ts';

// Helpers of the kernel, from enum bpf_func_id.
const MAP_LOOKUP = 1;
const MAP_UPDATE = 2;
const MAP_DELETE = 3;

export const ETHERNET = 14;

// IP protocols, and the extension headers of IPv6 (RFC 8200).
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMP6 = 58;
/** Bytes in front of the packet that an ICMP error is about. */
export const ICMP_HEADER = 8;

/**
 * Where the programs keep what they look up, from the frame pointer on. All keys are multiples of 4 bytes and aligned: the
 * verifier wants that.
 */
export const STACK = {
  /** vips4, vips6: prefix length; then the packet's destination, which is the key of locals and tunnels as well. */
  vip: -24,
  destination: -20,
  /** returns4, returns6. Its first bytes, the address, are the key of servers. */
  flow: -48,
  /** ports. */
  port: -52,
  /** The interface's bits, and its index. */
  bits: -56,
  index: -28,
  /** IPv6: not 0 in first fragments; identification. */
  more: -60,
  identification: -64,
  /** fragments4, fragments6. */
  fragment: -112,
} as const;

/** r0 = the element of `map` whose key is on the stack, or 0. */
export function lookup(code: BpfAssembler, map: number, key: number): BpfAssembler {
  return code.map('r1', map).move('r2', 'r10').add('r2', key).call(MAP_LOOKUP);
}

/** Adds the key on the stack to `map`. The value is nothing that anyone reads. */
export function remember(code: BpfAssembler, map: number, key: number): BpfAssembler {
  return code
    .map('r1', map)
    .move('r2', 'r10')
    .add('r2', key)
    .move('r3', 'r10')
    .add('r3', STACK.bits)
    .move('r4', 0)
    .call(MAP_UPDATE);
}

/** Removes the key on the stack from `map`, if it is there. */
export function forget(code: BpfAssembler, map: number, key: number): BpfAssembler {
  return code.map('r1', map).move('r2', 'r10').add('r2', key).call(MAP_DELETE);
}

/** Goes on at `on`, with the interface's bits on the stack, if one of `bits` is set; else passes the packet. */
export function switches(code: BpfAssembler, map: number, interfaceIndex: number, bits: number, on: string): void {
  code.storeConstant('u32', 'r10', STACK.index, interfaceIndex);
  lookup(code, map, STACK.index)
    .jumpIf('r0', '==', 0, 'pass')
    .load('u32', 'r1', 'r0', 0)
    .store('u32', 'r10', STACK.bits, 'r1')
    .jumpIf('r1', '&', bits, on)
    .jump('pass');
}

/** Goes on at `off` unless the interface has the bit. */
export function unlessOn(code: BpfAssembler, bit: number, off: string): BpfAssembler {
  return code.load('u32', 'r1', 'r10', STACK.bits).and('r1', bit).jumpIf('r1', '==', 0, off);
}

/** Passes the packet unless `bytes` of the frame are there from `pointer` on. Uses r4. */
export function need(code: BpfAssembler, pointer: 'r3' | 'r7' | 'r9', bytes: number): BpfAssembler {
  return code.move('r4', pointer).add('r4', bytes).jumpIf('r4', '>', 'r8', 'pass');
}
