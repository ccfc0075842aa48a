import type { Family } from './address.ts';

/**
 * What each protocol's file defines. `ip4({ src, dst })` makes a layer for `packet()` and `expectPacket()`;
 * `ip4.parse(bytes)` validates once at the edge and gives all fields.
 */
export interface Protocol<F extends object> {
  (fields?: Partial<F>): Layer<F>;
  /** Its name, e.g. `ip4`. */
  readonly protocol: string;
  /**
   * Takes the header at the start of `bytes` apart, whatever follows.
   * @throws PacketError
   */
  parse(bytes: Uint8Array): Parsed<F>;
  /** Bytes of the header that these fields ask for. */
  size(fields: Partial<F>): number;
  /** Writes the header to the start of `out`, each byte of it; behind it the payload is in place already. */
  emit(out: Uint8Array, fields: Partial<F>, around: Around): void;
  /** A few words for traces. */
  display(fields: F): string;
  /** Judges the checksum of a header that was parsed. `undefined`: it has none, or it can't be judged here. */
  verify?(bytes: Uint8Array, fields: F, pseudo: Pseudo | undefined): boolean | undefined;
}

export interface Layer<F extends object = object> {
  readonly protocol: Protocol<F>;
  readonly fields: Partial<F>;
}

export interface Parsed<F extends object> {
  readonly fields: F;
  readonly headerBytes: number;
  /** What the header says is its payload; padding behind it is cut off. */
  readonly payload: Uint8Array;
  /** What the payload is; undefined if it can't be taken apart further. */
  readonly next: Follows | undefined;
  /** Set by IP: what checksums of the next layer cover beside it. */
  readonly pseudo?: Pseudo;
}

/** Which protocol follows: by EtherType or by IP protocol number. */
export type Follows = { readonly ethertype: number } | { readonly ipProtocol: number; readonly family: Family };

/** The addresses of the IP header around a segment. */
export interface Pseudo {
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  /** The segment is a fragment: its checksum can't be judged. */
  readonly fragment?: boolean;
}

/** What a header is built from beside its own fields. */
export interface Around {
  /** The layer behind it, if it is not payload. */
  readonly next: Layer | undefined;
  /** The addresses of the IP header in front of it, if there is one. */
  readonly pseudo: Pseudo | undefined;
}

/** Makes the function-with-methods that a protocol is. */
export function defineProtocol<F extends object>(
  methods: Pick<Protocol<F>, 'protocol' | 'parse' | 'size' | 'emit' | 'display' | 'verify'>,
): Protocol<F> {
  const make = (fields: Partial<F> = {}): Layer<F> => ({ protocol, fields });
  const protocol: Protocol<F> = Object.assign(make, methods);
  return protocol;
}
