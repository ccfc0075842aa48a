import type { DpoFormats } from '@lbd/fib';

/** Says what the DPOs of VIPs are. @param typeOf DPO type that a choosing node serves */
export function setVipWords(words: DpoFormats, typeOf: (node: string) => number): void {
  for (const node of ['lb4', 'lb6']) words.set(typeOf(node), (index) => `VIP ${index}`);
  for (const node of ['lb4-port', 'lb6-port']) {
    words.set(typeOf(node), (index) => `VIPs by port, group ${index}`);
  }
}
