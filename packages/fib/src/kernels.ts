/** The compiled kernels of this package. */
export const kernels = new URL('../dist/kernels.wasm', import.meta.url);
