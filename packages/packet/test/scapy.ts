import { execFileSync } from 'node:child_process';

/** Runs python with scapy imported; `input` is there as `input` (from JSON), and what it assigns to `out` comes back. */
export function scapy<T>(code: string, input: unknown = null): T {
  const program = `
import json, sys, logging
logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
from scapy.layers.l2 import Ether, ARP, GRE
from scapy.layers.inet import IP, TCP, UDP, ICMP, IPOption_RR
from scapy.layers.inet6 import *
from scapy.packet import Raw
input = json.load(sys.stdin)
${code}
json.dump(out, sys.stdout)
`;
  const text = execFileSync('/usr/bin/python3', ['-c', program], { input: JSON.stringify(input), encoding: 'utf8' });
  return JSON.parse(text) as T;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
