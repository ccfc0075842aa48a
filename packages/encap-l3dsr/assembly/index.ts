export { l3dsr } from './l3dsr';
