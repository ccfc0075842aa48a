export { l3dsr_express } from './express';
export { l3dsr } from './l3dsr';
