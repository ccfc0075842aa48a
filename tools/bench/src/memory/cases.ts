/** A way of packets through the graph that is measured. */
export interface Case {
  /** As `--cases` names it. */
  readonly name: string;
  readonly encap: 'gre4' | 'gre6' | 'l3dsr' | 'nat4' | 'nat6';
  readonly vipFamily: 4 | 6;
  /** The VIP is for one UDP port; else for all. */
  readonly perPort: boolean;
  /** So many VIPs take the flows in turn; else one does. */
  readonly vips?: number;
  /** Packets come from the server: NAT's way back. */
  readonly reply?: boolean;
  /** The path of the C reference that it is compared with: the same, or where there is none what it may be a multiple of. */
  readonly reference: 'gre4' | 'l3dsr' | 'nat4';
}

/** All that is measured unless told. */
export const CASES: readonly Case[] = [
  { name: 'gre4', encap: 'gre4', vipFamily: 4, perPort: false, reference: 'gre4' },
  { name: 'gre4-port', encap: 'gre4', vipFamily: 4, perPort: true, reference: 'gre4' },
  { name: 'l3dsr', encap: 'l3dsr', vipFamily: 4, perPort: false, reference: 'l3dsr' },
  { name: 'l3dsr-port', encap: 'l3dsr', vipFamily: 4, perPort: true, reference: 'l3dsr' },
  { name: 'nat4', encap: 'nat4', vipFamily: 4, perPort: true, reference: 'nat4' },
  { name: 'nat4-reply', encap: 'nat4', vipFamily: 4, perPort: true, reply: true, reference: 'nat4' },
  { name: 'gre4-vips', encap: 'gre4', vipFamily: 4, perPort: false, vips: 64, reference: 'gre4' },
  { name: 'nat4-vips', encap: 'nat4', vipFamily: 4, perPort: true, vips: 64, reference: 'nat4' },
  { name: 'gre6', encap: 'gre6', vipFamily: 4, perPort: false, reference: 'gre4' },
  { name: 'gre6-port', encap: 'gre6', vipFamily: 4, perPort: true, reference: 'gre4' },
  { name: 'ip6-gre4', encap: 'gre4', vipFamily: 6, perPort: false, reference: 'gre4' },
  { name: 'ip6-gre4-port', encap: 'gre4', vipFamily: 6, perPort: true, reference: 'gre4' },
  { name: 'ip6-gre6', encap: 'gre6', vipFamily: 6, perPort: false, reference: 'gre4' },
  { name: 'ip6-gre6-port', encap: 'gre6', vipFamily: 6, perPort: true, reference: 'gre4' },
  { name: 'ip6-gre6-vips', encap: 'gre6', vipFamily: 6, perPort: false, vips: 64, reference: 'gre4' },
  { name: 'nat6', encap: 'nat6', vipFamily: 6, perPort: true, reference: 'gre4' },
  { name: 'nat6-reply', encap: 'nat6', vipFamily: 6, perPort: true, reply: true, reference: 'gre4' },
];
