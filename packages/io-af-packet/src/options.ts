import { DriverError } from '@lbd/io';

/** Options of an af_packet port. */
export interface AfPacketOptions {
  /** Hide lbd's traffic from the kernel with nftables, where that works; true unless told. */
  readonly hide?: boolean;
  /** Receive buffer of each socket, bytes; 8 MiB unless told (without CAP_NET_ADMIN the system's limit applies). */
  readonly 'receive-buffer'?: number;
}

/** JSON schema of {@link AfPacketOptions}. */
export const afPacketOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    hide: { type: 'boolean', default: true, description: 'hide lbd traffic from the kernel with nftables' },
    'receive-buffer': { type: 'integer', minimum: 65536, maximum: 0x3fffffff, default: 8 << 20 },
  },
} as const;

/** @throws DriverError (LBD_DRIVER_OPTION) that says what is allowed */
export function checkOptions(port: string, options: Readonly<Record<string, unknown>>): AfPacketOptions {
  const wrong = (what: string): DriverError => new DriverError('LBD_DRIVER_OPTION', `af_packet port ${port}: ${what}`);
  const { hide, 'receive-buffer': bytes, ...rest } = options;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw wrong(`unknown option ${unknown}; there are hide, receive-buffer`);
  if (hide !== undefined && typeof hide !== 'boolean') throw wrong('hide must be true or false');
  const { minimum, maximum } = afPacketOptionsSchema.properties['receive-buffer'];
  const fits = (n: number): boolean => Number.isInteger(n) && n >= minimum && n <= maximum;
  if (bytes !== undefined && !fits(bytes as number)) {
    throw wrong(`receive-buffer ${bytes} must be a whole number of bytes from ${minimum} to ${maximum}`);
  }
  return options as AfPacketOptions;
}
