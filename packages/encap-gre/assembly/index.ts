export { gre4_express, gre6_express } from './express';
export { gre4 } from './gre4';
export { gre6 } from './gre6';
