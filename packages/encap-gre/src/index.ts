export { gre4, gre6 } from './gre.ts';
export { greNode } from './nodes.ts';
export { type GreOptions, type GreState, gre4Options, greOptions, greState } from './options.ts';
