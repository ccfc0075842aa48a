/** Bits of an interface's word in {@link SteeringMaps.switches}: which maps are worth a look. */
export const NAT4_BIT = 1;
export const NAT6_BIT = 2;
export const PORTS4_BIT = 4;
export const PORTS6_BIT = 8;
export const TUNNELS4_BIT = 16;
export const TUNNELS6_BIT = 32;

/** Bytes of the keys; addresses and ports in network order, as they are in packets. */
export const KEY_BYTES = {
  /** LPM: u32 prefix length, address. */
  vips4: 8,
  vips6: 20,
  /** Address, u16 port, u8 protocol, u8 0. */
  returns4: 8,
  returns6: 20,
  /** Address. */
  servers4: 4,
  servers6: 16,
  /** u16 port, u8 protocol, u8 family (4 or 6). */
  ports: 4,
  /** Address. */
  locals4: 4,
  locals6: 16,
  tunnels4: 4,
  tunnels6: 16,
  /** Source, destination, u16 identification, u8 protocol, u8 0. */
  fragments4: 12,
  /** Source, destination, u32 identification. */
  fragments6: 36,
} as const;

/**
 * File descriptors of the maps that all interfaces share. Their values (u32) say only that the element is there.
 * `fragments4` and `fragments6` are the programs' own: the fragmented datagrams to node ports that were seen last.
 */
export type SteeringMaps = Readonly<Record<keyof typeof KEY_BYTES, number>> & {
  /** Array by interface index: u32 of bits. */
  readonly switches: number;
};
