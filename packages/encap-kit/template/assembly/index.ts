export { my_encap } from './my-encap';
