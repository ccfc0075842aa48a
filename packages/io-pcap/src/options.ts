import { VECTOR_SIZE } from '@lbd/graph';
import { DriverError } from '@lbd/io';

/** Options of a pcap port. */
export interface PcapOptions {
  /** File to take packets from; none if left out. */
  readonly in?: string;
  /** File that gets the packets sent on the port; sent packets are forgotten if left out. Ports may share one. */
  readonly out?: string;
  /** File that gets the packets punted to the kernel of the port, as it were; forgotten if left out. */
  readonly punt?: string;
  /** Packets that come in at a time, 1 to 256; 256 unless told. */
  readonly vector?: number;
  /** Start again at the end of the input file, for ever. */
  readonly loop?: boolean;
}

/** JSON schema of {@link PcapOptions}. */
export const pcapOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    in: { type: 'string', minLength: 1, description: 'capture file to take packets from' },
    out: { type: 'string', minLength: 1, description: 'capture file that gets the packets sent; ports may share one' },
    punt: { type: 'string', minLength: 1, description: 'capture file that gets the packets punted' },
    vector: { type: 'integer', minimum: 1, maximum: VECTOR_SIZE, default: VECTOR_SIZE },
    loop: { type: 'boolean', default: false, description: 'start again at the end of the input file, for ever' },
  },
} as const;

/** @throws DriverError (LBD_DRIVER_OPTION) that says what is allowed */
export function checkOptions(port: string, options: Readonly<Record<string, unknown>>): PcapOptions {
  const wrong = (what: string): DriverError => new DriverError('LBD_DRIVER_OPTION', `pcap port ${port}: ${what}`);
  for (const [key, value] of Object.entries(options)) {
    switch (key) {
      case 'in':
      case 'out':
      case 'punt':
        if (typeof value !== 'string' || value === '') throw wrong(`${key} must be the path of a file`);
        break;
      case 'vector':
        if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > VECTOR_SIZE) {
          throw wrong(`vector ${value} must be a whole number from 1 to ${VECTOR_SIZE}`);
        }
        break;
      case 'loop':
        if (typeof value !== 'boolean') throw wrong('loop must be true or false');
        break;
      default:
        throw wrong(`unknown option ${key}; there are ${Object.keys(pcapOptionsSchema.properties).join(', ')}`);
    }
  }
  return options as PcapOptions;
}
