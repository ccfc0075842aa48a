export { l3dsr } from './l3dsr.ts';
export { l3dsrNode } from './nodes.ts';
