import { describe, expect, it } from 'vitest';
import { BpfAssembler } from './bpf-assembler.ts';

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/(.{16})(?=.)/g, '$1 ');

// Encodings as llvm-objdump prints them in the kernel's and LLVM's documentation, and by hand from RFC 9669.
describe('BpfAssembler', () => {
  it.each<[string, (code: BpfAssembler) => unknown, string]>([
    ['r0 = 2', (c) => c.move('r0', 2), 'b700000002000000'],
    ['r6 = r1', (c) => c.move('r6', 'r1'), 'bf16000000000000'],
    ['r2 = r10', (c) => c.move('r2', 'r10'), 'bfa2000000000000'],
    ['r2 += -4', (c) => c.add('r2', -4), '07020000fcffffff'],
    ['r3 += r2', (c) => c.add('r3', 'r2'), '0f23000000000000'],
    ['r2 &= 15', (c) => c.and('r2', 15), '570200000f000000'],
    ['r2 <<= 2', (c) => c.shiftLeft('r2', 2), '6702000002000000'],
    ['r2 = *(u32 *)(r1 + 16)', (c) => c.load('u32', 'r2', 'r1', 16), '6112100000000000'],
    ['r3 = *(u16 *)(r7 + 12)', (c) => c.load('u16', 'r3', 'r7', 12), '69730c0000000000'],
    ['r1 = *(u8 *)(r7 + 23)', (c) => c.load('u8', 'r1', 'r7', 23), '7171170000000000'],
    ['r4 = *(u64 *)(r7 + 14)', (c) => c.load('u64', 'r4', 'r7', 14), '79740e0000000000'],
    ['*(u32 *)(r10 - 4) = r2', (c) => c.store('u32', 'r10', -4, 'r2'), '632afcff00000000'],
    ['*(u8 *)(r10 - 42) = r1', (c) => c.store('u8', 'r10', -42, 'r1'), '731ad6ff00000000'],
    ['*(u32 *)(r10 - 24) = 32', (c) => c.storeConstant('u32', 'r10', -24, 32), '620ae8ff20000000'],
    ['r1 = map fd 5', (c) => c.map('r1', 5), '1811000005000000 0000000000000000'],
    ['r5 = 64 bits', (c) => c.constant('r5', 0x8877665544332211n), '1805000011223344 0000000055667788'],
    ['call 51', (c) => c.call(51), '8500000033000000'],
    ['exit', (c) => c.exit(), '9500000000000000'],
  ])('%s', (_, build, expected) => {
    const code = new BpfAssembler();
    build(code);
    expect(hex(code.assemble())).toBe(expected);
  });

  it('resolves labels to instructions after the jump, counting wide ones twice', () => {
    const code = new BpfAssembler();
    code
      .jumpIf('r0', '==', 0, 'end')
      .jumpIf('r2', '>', 'r8', 'end')
      .map('r1', 3)
      .jump('end')
      .exit()
      .label('end')
      .exit();
    expect(hex(code.assemble())).toBe(
      '1500050000000000 2d82040000000000 1811000003000000 0000000000000000 0500010000000000 9500000000000000 9500000000000000',
    );
  });

  it('knows the other conditions', () => {
    const code = new BpfAssembler();
    code.jumpIf('r1', '&', 1, 'x').jumpIf('r1', '!=', 0, 'x').jumpIf('r2', '<', 20, 'x').label('x').exit();
    expect(hex(code.assemble())).toBe('4501020001000000 5501010000000000 a502000014000000 9500000000000000');
  });

  it('refuses labels that are missing, double or behind', () => {
    expect(() => new BpfAssembler().jump('nowhere').assemble()).toThrow('no label nowhere');
    expect(() => new BpfAssembler().label('a').exit().label('a')).toThrow('twice');
    expect(() => new BpfAssembler().label('a').jump('a').assemble()).toThrow('back');
  });
});
