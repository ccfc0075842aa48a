export { generate } from './generate';
export { collect } from './collect';
