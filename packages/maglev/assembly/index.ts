export { hash4, hash6, hash6_sticky } from './exports';
export { fill } from './fill';
export { build_tables } from './flow-hash';
