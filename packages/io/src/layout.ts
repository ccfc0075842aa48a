/** Places of the counters of `interface-output`, in the order declared, for its kernel. */

export const OUTPUT_NO_INTERFACE = 0;
export const OUTPUT_INTERFACE_DOWN = 1;
