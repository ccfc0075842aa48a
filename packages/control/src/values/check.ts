import type { z } from 'zod';
import { ControlError } from '../errors.ts';

/** How users write the fields whose name differs from ours. */
const WORDS: Readonly<Record<string, string>> = {
  ip4SrcAddress: 'ip4-src-address',
  ip6SrcAddress: 'ip6-src-address',
  flowHash: 'flow-hash',
  targetPort: 'target_port',
  nodePort: 'node_port',
  newLen: 'new_len',
  srcIpSticky: 'src_ip_sticky',
  addresses: 'address',
};

export function wordFor(field: string): string {
  return WORDS[field] ?? field;
}

/** Parses a value, or throws LBD_INVALID_VALUE with a message for each field that is wrong. */
export function check<T extends z.ZodType>(schema: T, raw: unknown): z.output<T> {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const messages = result.error.issues.map(({ path, message }) => {
    const field = path.findLast((part) => typeof part === 'string');
    return field === undefined ? message : `${wordFor(field)} ${message}`;
  });
  throw new ControlError('LBD_INVALID_VALUE', [...new Set(messages)].join('; '));
}
