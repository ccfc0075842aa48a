import { conformance } from '@lbd/encap-kit';
import { myEncap } from './index.ts';

conformance(myEncap);
