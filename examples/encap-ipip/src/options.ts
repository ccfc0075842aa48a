import { z } from 'zod';

/** What lbd.yaml may say of ipip4 and ipip6, in `encaps`. */
export const ipipOptions = z.strictObject({
  ttl: z.number().int().min(16).max(255).default(64).describe('TTL or hop limit of outer headers.'),
});

export type IpipOptions = z.output<typeof ipipOptions>;
