/** The n-th IPv4 address after another one, in text. */
export function nth(first: number, n: number): string {
  const address = first + n;
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** 11.0.0.0: servers, all behind one gateway. */
export const FIRST_SERVER = 0x0b000000;
/** 90.0.0.1, as Templates has it. */
export const FIRST_VIP = 0x5a000001;
export const GATEWAY = '10.1.2.1';
