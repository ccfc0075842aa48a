import { addressBytes, addressText, macBytes, macText } from './address.ts';
import { get16, set16 } from './bytes.ts';
import { fits, malformed, need } from './errors.ts';
import * as L from './layout.ts';
import { defineProtocol } from './protocol.ts';

export interface Arp {
  /** 1 request, 2 reply. */
  operation: number;
  senderMac: string;
  senderIp: string;
  targetMac: string;
  targetIp: string;
}

const NO_MAC = '00:00:00:00:00:00';

/** ARP for IPv4 over Ethernet; anything else that RFC 826 allows is refused. */
export const arp = defineProtocol<Arp>({
  protocol: 'arp',

  parse(bytes) {
    need('arp', bytes, L.ARP_BYTES);
    const kind = [get16(bytes, L.ARP_HARDWARE), get16(bytes, L.ARP_PROTOCOL)];
    const sizes = [bytes[L.ARP_HARDWARE_BYTES], bytes[L.ARP_PROTOCOL_BYTES]];
    if (kind[0] !== 1 || kind[1] !== L.ETHERTYPE_IP4 || sizes[0] !== 6 || sizes[1] !== 4) {
      throw malformed('arp', `hardware ${kind[0]}, protocol ${kind[1]}, sizes ${sizes}: must be 1, 2048, 6,4`);
    }
    const mac = (at: number) => macText(bytes.subarray(at, at + 6));
    const ip = (at: number) => addressText(bytes.subarray(at, at + 4));
    return {
      fields: {
        operation: get16(bytes, L.ARP_OPERATION),
        senderMac: mac(L.ARP_SENDER_MAC),
        senderIp: ip(L.ARP_SENDER_IP),
        targetMac: mac(L.ARP_TARGET_MAC),
        targetIp: ip(L.ARP_TARGET_IP),
      },
      headerBytes: L.ARP_BYTES,
      payload: bytes.subarray(L.ARP_BYTES),
      next: undefined,
    };
  },

  size: () => L.ARP_BYTES,

  emit(out, fields) {
    set16(out, L.ARP_HARDWARE, 1);
    set16(out, L.ARP_PROTOCOL, L.ETHERTYPE_IP4);
    out[L.ARP_HARDWARE_BYTES] = 6;
    out[L.ARP_PROTOCOL_BYTES] = 4;
    set16(out, L.ARP_OPERATION, fits('arp', 'operation', fields.operation ?? 1, 16));
    out.set(macBytes(fields.senderMac ?? NO_MAC), L.ARP_SENDER_MAC);
    out.set(addressBytes(fields.senderIp ?? '0.0.0.0'), L.ARP_SENDER_IP);
    out.set(macBytes(fields.targetMac ?? NO_MAC), L.ARP_TARGET_MAC);
    out.set(addressBytes(fields.targetIp ?? '0.0.0.0'), L.ARP_TARGET_IP);
  },

  display: ({ operation, senderIp, senderMac, targetIp }) =>
    operation === 1 ? `arp who has ${targetIp}, tell ${senderIp}` : `arp ${senderIp} is at ${senderMac}`,
});
