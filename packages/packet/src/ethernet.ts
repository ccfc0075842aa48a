import { macBytes, macText } from './address.ts';
import { get16, set16 } from './bytes.ts';
import { fits, need } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';
import { ethertypeOf } from './registry.ts';

export interface Ethernet {
  /** MAC addresses, `02:00:00:00:00:01`; zeros unless told. */
  dst: string;
  src: string;
  /** EtherType; that of the next layer unless told. */
  type: number;
}

const NAMES = new Map([
  [L.ETHERTYPE_IP4, 'ip4'],
  [L.ETHERTYPE_IP6, 'ip6'],
  [L.ETHERTYPE_ARP, 'arp'],
  [L.ETHERTYPE_VLAN, 'vlan'],
]);

/** Ethernet II. VLAN tags are not taken apart: they show as EtherType 0x8100 and payload. */
export const ethernet = defineProtocol<Ethernet>({
  protocol: 'ethernet',

  parse(bytes) {
    need('ethernet', bytes, L.ETHERNET_BYTES);
    const type = get16(bytes, L.ETHERNET_TYPE);
    return {
      fields: {
        dst: macText(bytes.subarray(L.ETHERNET_DESTINATION, L.ETHERNET_DESTINATION + 6)),
        src: macText(bytes.subarray(L.ETHERNET_SOURCE, L.ETHERNET_SOURCE + 6)),
        type,
      },
      headerBytes: L.ETHERNET_BYTES,
      payload: bytes.subarray(L.ETHERNET_BYTES),
      next: { ethertype: type },
    };
  },

  size: () => L.ETHERNET_BYTES,

  emit(out, fields, around) {
    out.set(macBytes(fields.dst ?? '00:00:00:00:00:00'), L.ETHERNET_DESTINATION);
    out.set(macBytes(fields.src ?? '00:00:00:00:00:00'), L.ETHERNET_SOURCE);
    const type = fields.type ?? ethertypeOf(around.next) ?? 0;
    set16(out, L.ETHERNET_TYPE, fits('ethernet', 'type', type, 16));
  },

  display: ({ src, dst, type }) => `ethernet ${src} > ${dst} ${NAMES.get(type) ?? `0x${type.toString(16)}`}`,
});
