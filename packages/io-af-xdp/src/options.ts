import { DriverError } from '@lbd/io';

/** Options of an AF_XDP port. */
export interface AfXdpOptions {
  /** Where the XDP program runs: in the interface's driver, or in the kernel's general receive path (any driver). */
  readonly mode: 'auto' | 'native' | 'generic';
  /** Whether the interface's driver uses the buffers themselves. */
  readonly 'zero-copy': 'auto' | 'off' | 'on';
  /** Entries of the rings, powers of two. */
  readonly 'rx-ring': number;
  readonly 'tx-ring': number;
  readonly 'fill-ring': number;
  readonly 'completion-ring': number;
}

const MODES = ['auto', 'native', 'generic'];
const ZERO_COPY = ['auto', 'off', 'on'];
const RINGS = ['rx-ring', 'tx-ring', 'fill-ring', 'completion-ring'] as const;
const RING_DEFAULT = 2048;
const RING_LEAST = 64;
const RING_MOST = 32768;

const ring = (what: string) => ({
  type: 'integer',
  enum: Array.from({ length: 10 }, (_, i) => RING_LEAST << i),
  default: RING_DEFAULT,
  description: `entries of the ${what} ring`,
});

/** JSON schema of {@link AfXdpOptions}. */
export const afXdpOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    mode: {
      enum: MODES,
      default: 'auto',
      description: 'native: the XDP program runs in the driver; generic: any driver, slower; auto: native if possible',
    },
    'zero-copy': {
      enum: ZERO_COPY,
      default: 'auto',
      description: 'let the hardware use the packet buffers themselves',
    },
    'rx-ring': ring('RX'),
    'tx-ring': ring('TX'),
    'fill-ring': ring('fill'),
    'completion-ring': ring('completion'),
  },
} as const;

/** @throws DriverError (LBD_DRIVER_OPTION) that says what is allowed */
export function checkOptions(port: string, options: Readonly<Record<string, unknown>>): AfXdpOptions {
  const checked: Record<string, unknown> = { mode: 'auto', 'zero-copy': 'auto' };
  for (const name of RINGS) checked[name] = RING_DEFAULT;
  for (const [key, value] of Object.entries(options)) {
    const allowed = allowedValues(key, value);
    if (allowed) {
      throw new DriverError('LBD_DRIVER_OPTION', `af_xdp port ${port}: ${key} ${JSON.stringify(value)}: ${allowed}`);
    }
    checked[key] = value;
  }
  return checked as unknown as AfXdpOptions;
}

/** What is allowed, if the value is not. */
function allowedValues(key: string, value: unknown): string | undefined {
  if (key === 'mode') return MODES.includes(value as string) ? undefined : `must be one of ${MODES.join(', ')}`;
  if (key === 'zero-copy')
    return ZERO_COPY.includes(value as string) ? undefined : `must be one of ${ZERO_COPY.join(', ')}`;
  if (!(RINGS as readonly string[]).includes(key)) {
    return `there is no such option; there are mode, zero-copy, ${RINGS.join(', ')}`;
  }
  const power = typeof value === 'number' && Number.isInteger(Math.log2(value));
  return power && value >= RING_LEAST && value <= RING_MOST
    ? undefined
    : `must be a power of two from ${RING_LEAST} to ${RING_MOST}`;
}
