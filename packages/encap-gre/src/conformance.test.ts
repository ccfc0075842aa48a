import { conformance } from '@lbd/encap-kit';
import { gre4, gre6 } from './index.ts';

for (const encap of [gre4, gre6]) {
  conformance(encap);
  conformance(encap, { options: { dscp: 'copy', ecn: 'copy' } });
}
