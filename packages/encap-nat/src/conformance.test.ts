import { conformance } from '@lbd/encap-kit';
import { nat4, nat6 } from './index.ts';

for (const encap of [nat4, nat6]) conformance(encap, { options: { sessions: 4096 } });
