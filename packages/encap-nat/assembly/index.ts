export { nat4_express, nat6_express } from './express';
export { nat4, nat6 } from './forward';
export { nat4_in2out, nat6_in2out } from './in2out';
export { nat4_in2out_express, nat6_in2out_express } from './in2out-express';
export { nat_end, nat_free, nat_sweep } from './session';
