import { conformance } from '@lbd/encap-kit';
import { l3dsr } from './index.ts';

conformance(l3dsr);
