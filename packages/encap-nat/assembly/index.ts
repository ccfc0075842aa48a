export { nat4_in2out } from './in2out';
export { nat4 } from './nat4';
export { nat_end, nat_free, nat_sweep } from './session';
