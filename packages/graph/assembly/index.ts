export { drop } from './drop';
