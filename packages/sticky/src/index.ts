export { StickyError, type StickyErrorCode } from './errors.ts';
export { type StickyFlow, stickyHash, stickyPorts } from './hash.ts';
export * from './layout.ts';
export {
  type StickyEntry,
  type StickyFilter,
  type StickyOptions,
  StickyTable,
  type StickyUsage,
} from './sticky-table.ts';
