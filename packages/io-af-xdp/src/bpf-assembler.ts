/** Bytes of a load or store: the size field of its opcode (RFC 9669, section 4.2). */
const SIZE = { u8: 0x10, u16: 0x08, u32: 0x00, u64: 0x18 } as const;
type Size = keyof typeof SIZE;

/** Arithmetic, 64 bits (RFC 9669, section 4.1). */
const ALU = { add: 0x00, and: 0x50, shiftLeft: 0x60, move: 0xb0 } as const;

/** Conditions of a jump; comparisons are unsigned (RFC 9669, section 4.3). */
const CONDITION = { '==': 0x10, '>': 0x20, '&': 0x40, '!=': 0x50, '<': 0xa0 } as const;
type Condition = keyof typeof CONDITION;

// Instruction classes and the bit that says that the second operand is a register.
const LD_IMM64 = 0x18;
const LDX_MEM = 0x61;
const ST_MEM = 0x62;
const STX_MEM = 0x63;
const JMP = 0x05;
const ALU64 = 0x07;
const REGISTER = 0x08;
const CALL = 0x80;
const EXIT = 0x90;
/** Source register of LD_IMM64 that says that the value is the file descriptor of a map. */
const PSEUDO_MAP_FD = 1;

/** Registers: r0 result, r1 to r5 arguments (lost in a call), r6 to r9 kept, r10 frame pointer. */
export type Register = 'r0' | 'r1' | 'r2' | 'r3' | 'r4' | 'r5' | 'r6' | 'r7' | 'r8' | 'r9' | 'r10';

const number = (register: Register): number => Number(register.slice(1));

/**
 * Builds a BPF program (RFC 9669) instruction by instruction. Jumps name labels, and only go forward: programs
 * without loops are what every kernel's verifier accepts.
 */
export class BpfAssembler {
  readonly #code: Array<{ opcode: number; dst: number; src: number; offset: number; immediate: number; to?: string }> =
    [];
  readonly #labels = new Map<string, number>();

  /** Names the place of the next instruction. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} is there twice`);
    this.#labels.set(name, this.#code.length);
    return this;
  }

  move(dst: Register, from: Register | number): this {
    return this.#alu('move', dst, from);
  }
  add(dst: Register, what: Register | number): this {
    return this.#alu('add', dst, what);
  }
  and(dst: Register, bits: number): this {
    return this.#alu('and', dst, bits);
  }
  shiftLeft(dst: Register, bits: number): this {
    return this.#alu('shiftLeft', dst, bits);
  }

  /** dst = the `size` at src + offset, as this machine's byte order has it (little-endian). */
  load(size: Size, dst: Register, src: Register, offset: number): this {
    return this.#emit(LDX_MEM | SIZE[size], number(dst), number(src), offset, 0);
  }
  /** The `size` at dst + offset = src. */
  store(size: Size, dst: Register, offset: number, src: Register): this {
    return this.#emit(STX_MEM | SIZE[size], number(dst), number(src), offset, 0);
  }
  /** The `size` at dst + offset = a constant. */
  storeConstant(size: Size, dst: Register, offset: number, value: number): this {
    return this.#emit(ST_MEM | SIZE[size], number(dst), 0, offset, value);
  }
  /** dst = a constant of 64 bits. */
  constant(dst: Register, value: bigint): this {
    this.#emit(LD_IMM64, number(dst), 0, 0, Number(BigInt.asIntN(32, value)));
    return this.#emit(0, 0, 0, 0, Number(BigInt.asIntN(32, value >> 32n)));
  }
  /** dst = the map with this file descriptor. */
  map(dst: Register, fd: number): this {
    this.#emit(LD_IMM64, number(dst), PSEUDO_MAP_FD, 0, fd);
    return this.#emit(0, 0, 0, 0, 0);
  }

  jump(to: string): this {
    return this.#emit(JMP, 0, 0, 0, 0, to);
  }
  jumpIf(left: Register, condition: Condition, right: Register | number, to: string): this {
    const opcode = JMP | CONDITION[condition];
    return typeof right === 'number'
      ? this.#emit(opcode, number(left), 0, 0, right, to)
      : this.#emit(opcode | REGISTER, number(left), number(right), 0, 0, to);
  }
  /** Calls a helper function of the kernel, by its number in enum bpf_func_id. */
  call(helper: number): this {
    return this.#emit(JMP | CALL, 0, 0, 0, helper);
  }
  exit(): this {
    return this.#emit(JMP | EXIT, 0, 0, 0, 0);
  }

  /** The program, 8 bytes an instruction. */
  assemble(): Uint8Array {
    const bytes = new Uint8Array(this.#code.length * 8);
    const view = new DataView(bytes.buffer);
    this.#code.forEach(({ opcode, dst, src, offset, immediate, to }, i) => {
      view.setUint8(i * 8, opcode);
      view.setUint8(i * 8 + 1, dst | (src << 4));
      view.setInt16(i * 8 + 2, to === undefined ? offset : this.#distance(i, to), true);
      view.setInt32(i * 8 + 4, immediate, true);
    });
    return bytes;
  }

  #distance(from: number, label: string): number {
    const to = this.#labels.get(label);
    if (to === undefined) throw new Error(`there is no label ${label}`);
    if (to <= from) throw new Error(`a jump back, to ${label}`);
    return to - from - 1;
  }

  #alu(operation: keyof typeof ALU, dst: Register, operand: Register | number): this {
    const opcode = ALU64 | ALU[operation];
    return typeof operand === 'number'
      ? this.#emit(opcode, number(dst), 0, 0, operand)
      : this.#emit(opcode | REGISTER, number(dst), number(operand), 0, 0);
  }

  #emit(opcode: number, dst: number, src: number, offset: number, immediate: number, to?: string): this {
    this.#code.push({ opcode, dst, src, offset, immediate, ...(to === undefined ? {} : { to }) });
    return this;
  }
}
