export type GraphErrorCode =
  | 'LBD_GRAPH_DUPLICATE'
  | 'LBD_GRAPH_UNKNOWN'
  | 'LBD_GRAPH_INVALID'
  | 'LBD_GRAPH_ORDER'
  | 'LBD_GRAPH_KERNEL';

/** A graph that cannot be built, and why. */
export class GraphError extends Error {
  readonly code: GraphErrorCode;
  constructor(code: GraphErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
