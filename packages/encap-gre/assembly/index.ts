export { gre4 } from './gre4';
export { gre6 } from './gre6';
