/** This package's compiled kernels. */
export const kernels = new URL('../dist/kernels.wasm', import.meta.url);
