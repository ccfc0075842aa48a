export { interfaceOutput } from './interface-output';
export { punt } from './punt';
