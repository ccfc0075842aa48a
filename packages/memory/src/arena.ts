/** Bytes of a WebAssembly page. */
const WASM_PAGE = 65536;

/** The largest memory that 32-bit WebAssembly can address, less one page so that lengths fit an unsigned 32-bit word. */
export const MAX_BYTES = 65535 * WASM_PAGE;

const DEFAULT_BYTES = 1024 * 1024 * 1024;

export interface Allocation {
  readonly label: string;
  readonly address: number;
  readonly bytes: number;
}

export class OutOfMemoryError extends Error {
  readonly code = 'LBD_OUT_OF_MEMORY';
  constructor(label: string, wanted: number, free: number) {
    super(
      `no room for ${label}: ${wanted} bytes wanted, ${free} bytes left in the linear memory (raise the configured memory size)`,
    );
  }
}

/**
 * The linear memory as one thread sees it: typed arrays over one shared WebAssembly.Memory.
 *
 * The memory has its full size from the start and never grows, so the views stay valid for its lifetime. Size costs
 * address space only: a page takes up RAM when it is first touched. All words are little-endian; an address is a byte
 * offset into the memory.
 */
export class Memory {
  readonly wasm: WebAssembly.Memory;
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly u16: Uint16Array<SharedArrayBuffer>;
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly u32: Uint32Array<SharedArrayBuffer>;
  readonly u64: BigUint64Array<SharedArrayBuffer>;
  readonly f64: Float64Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;

  constructor(wasm: WebAssembly.Memory) {
    const buffer = wasm.buffer as unknown as SharedArrayBuffer;
    if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory must be shared');
    this.wasm = wasm;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Instantiates a kernel module (compiled with its memory imported as `env.memory`) over this memory. */
  instantiate(module: WebAssembly.Module): WebAssembly.Exports {
    return new WebAssembly.Instance(module, { env: { memory: this.wasm } }).exports;
  }
}

/**
 * Hands out pieces of the linear memory. It belongs to the control plane: one thread allocates, all may use what they
 * are told the address of. A freed piece is kept for the next request of the same size; when nothing else is left, pieces
 * that touch are joined, and cut as needed. Packet-path structures that need dynamic memory keep a region of their own.
 */
export class Arena {
  readonly memory: Memory;
  readonly bytes: number;
  #next = WASM_PAGE; // address 0 is never handed out: it means "none", and the first page traps stray small offsets
  /** Where it has never been written: from here on all is zero. */
  #fresh = WASM_PAGE;
  readonly #live = new Map<number, Allocation>();
  readonly #free = new Map<number, number[]>();

  private constructor(memory: Memory, bytes: number) {
    this.memory = memory;
    this.bytes = bytes;
  }

  /** @param bytes size of the linear memory: a multiple of 64 KiB, at most {@link MAX_BYTES}; 1 GiB unless told. */
  static create(bytes: number = DEFAULT_BYTES): Arena {
    if (!Number.isInteger(bytes) || bytes % WASM_PAGE !== 0 || bytes < 2 * WASM_PAGE || bytes > MAX_BYTES) {
      throw new RangeError(
        `memory size ${bytes}: must be a multiple of ${WASM_PAGE} between ${2 * WASM_PAGE} and ${MAX_BYTES} bytes`,
      );
    }
    const pages = bytes / WASM_PAGE;
    return new Arena(new Memory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })), bytes);
  }

  /**
   * Returns the address of `bytes` zeroed bytes.
   * @param align a power of two; 64 (a cache line) unless told
   * @throws OutOfMemoryError
   */
  allocate(label: string, bytes: number, align = 64): number {
    if (!Number.isInteger(bytes) || bytes <= 0) throw new RangeError(`${label}: ${bytes} is not a size in bytes`);
    if (align < 1 || (align & (align - 1)) !== 0)
      throw new RangeError(`${label}: alignment ${align} is not a power of two`);
    const size = Math.ceil(bytes / 64) * 64;
    let address = this.#reuse(size, align) ?? this.#extend(size, align);
    if (address === undefined) {
      this.#join();
      address = this.#cut(size, align) ?? this.#extend(size, align);
    }
    if (address === undefined) throw new OutOfMemoryError(label, size, this.remaining + this.#freed());
    this.#live.set(address, { label, address, bytes: size });
    return address;
  }

  /** Takes a piece back; readers must be gone (see Epochs). */
  free(address: number): void {
    const piece = this.#live.get(address);
    if (!piece) throw new RangeError(`address ${address} is not an allocation`);
    this.#live.delete(address);
    this.#keep(address, piece.bytes);
  }

  /** What is allocated now, by address. */
  allocations(): Allocation[] {
    return [...this.#live.values()].sort((a, b) => a.address - b.address);
  }

  /** Bytes never yet handed out, or given back at the end. */
  get remaining(): number {
    return this.bytes - this.#next;
  }

  #reuse(size: number, align: number): number | undefined {
    const pieces = this.#free.get(size);
    const at = pieces?.findIndex((address) => address % align === 0) ?? -1;
    if (!pieces || at < 0) return undefined;
    const [address] = pieces.splice(at, 1);
    this.memory.u8.fill(0, address, address! + size);
    return address;
  }

  #extend(size: number, align: number): number | undefined {
    const address = Math.ceil(this.#next / align) * align;
    const end = address + size;
    if (end > this.bytes) return undefined;
    if (address < this.#fresh) this.memory.u8.fill(0, address, Math.min(end, this.#fresh));
    // What alignment left out.
    if (address > this.#next) this.#keep(this.#next, address - this.#next);
    this.#next = end;
    this.#fresh = Math.max(this.#fresh, end);
    return address;
  }

  #keep(address: number, bytes: number): void {
    if (bytes === 0) return;
    const pieces = this.#free.get(bytes);
    if (pieces) pieces.push(address);
    else this.#free.set(bytes, [address]);
  }

  /** Joins free pieces that touch; one at the end is as if it had never been handed out. */
  #join(): void {
    const pieces = [...this.#free].flatMap(([bytes, addresses]) => addresses.map((address) => ({ address, bytes })));
    pieces.sort((a, b) => a.address - b.address);
    this.#free.clear();
    let last: { address: number; bytes: number } | undefined;
    for (const piece of pieces) {
      if (last && last.address + last.bytes === piece.address) {
        last.bytes += piece.bytes;
        continue;
      }
      if (last) this.#keep(last.address, last.bytes);
      last = piece;
    }
    if (last && last.address + last.bytes === this.#next) this.#next = last.address;
    else if (last) this.#keep(last.address, last.bytes);
  }

  /** Of the smallest piece that is large enough. */
  #cut(size: number, align: number): number | undefined {
    for (const bytes of [...this.#free.keys()].sort((a, b) => a - b)) {
      if (bytes < size) continue;
      const pieces = this.#free.get(bytes)!;
      const aligned = (address: number) => Math.ceil(address / align) * align;
      const at = pieces.findIndex((address) => aligned(address) + size <= address + bytes);
      if (at < 0) continue;
      const [from] = pieces.splice(at, 1);
      const address = aligned(from!);
      this.#keep(from!, address - from!);
      this.#keep(address + size, from! + bytes - address - size);
      this.memory.u8.fill(0, address, address + size);
      return address;
    }
    return undefined;
  }

  #freed(): number {
    let sum = 0;
    for (const [bytes, addresses] of this.#free) sum += bytes * addresses.length;
    return sum;
  }
}
