export { lb4, lb4_port, lb6, lb6_port } from './choose';
export { lb_nodeport } from './nodeport';
