export { lb4, lb4_port, lb6, lb6_port } from './choose';
export { lb_nodeport } from './nodeport';
export { lb_fragments, lb_fragments_hold, lb_fragments_release } from './fragment-nodes';
export { lb_tunnel_errors } from './tunnel-errors';
export { lb4_express, lb6_express } from './express';
