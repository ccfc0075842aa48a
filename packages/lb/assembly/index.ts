export { lb4, lb4_port } from './choose';
