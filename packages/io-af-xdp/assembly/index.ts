export { afXdpInput } from './input';
export { afXdpOutput } from './output';
