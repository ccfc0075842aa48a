export { sticky_usage } from './scan';
export { sticky_vector } from './vector';
