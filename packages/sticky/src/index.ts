export * from './layout.ts';
export { type StickyEntry, type StickyOptions, StickyTable } from './sticky-table.ts';
