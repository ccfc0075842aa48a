import { Arena, type Memory } from '@lbd/memory';
import { MaglevError } from './errors.ts';
import { kernelsOf } from './kernels.ts';
import * as L from './layout.ts';
import { type MaglevServer, type PreparedServer, prepare } from './servers.ts';

/** Longest new-flow table. */
export const MAX_LENGTH = 2 ** 24;
/** What slots of {@link maglev}'s result hold if no server has a weight above 0. */
export const NO_SERVER = 0xffffffff;

/** A server of a table in the linear memory. */
export interface NewFlowServer extends MaglevServer {
  /** What the slots that it gets hold (u32): for lbd, the index of the application server. */
  readonly value: number;
}

/**
 * Writes a new-flow table of `length` u32 at `address` of the linear memory. Its slots do not depend on the order of
 * `servers`; if no weight is above 0 all are 0. Readers must not use this table yet: write it aside, then publish it.
 * @throws MaglevError, OutOfMemoryError (the fill needs 16 bytes for each replica that gets a turn, and frees them)
 */
export function fillNewFlowTable(
  arena: Arena,
  address: number,
  length: number,
  servers: readonly NewFlowServer[],
): void {
  checkLength(length);
  const prepared = prepare(servers, (server) => server.value);
  // A power of two, so that the arena can use the piece again.
  const scratch = arena.allocate('maglev fill', 2 ** Math.ceil(Math.log2(scratchBytes(length, prepared))));
  try {
    fill(arena.memory, address, scratch, length, prepared, 0);
  } finally {
    arena.free(scratch);
  }
}

/**
 * Returns a new-flow table: for each of `length` slots (a power of two) the place in `servers` of the server that it goes to.
 * {@link NO_SERVER} throughout if no server has a weight above 0.
 * @throws MaglevError
 */
export function maglev(length: number, servers: readonly MaglevServer[]): Uint32Array {
  checkLength(length);
  const prepared = prepare(servers, (_, place) => place);
  const memory = workspace(length * 4 + scratchBytes(length, prepared));
  const scratch = WORKSPACE + length * 4;
  fill(memory, WORKSPACE, Math.ceil(scratch / 64) * 64, length, prepared, NO_SERVER);
  return new Uint32Array(memory.u32.subarray(WORKSPACE / 4, WORKSPACE / 4 + length));
}

function checkLength(length: number): void {
  if (!Number.isInteger(Math.log2(length)) || length < 1 || length > MAX_LENGTH) {
    throw new MaglevError('LBD_MAGLEV_LENGTH', `length ${length}: must be a power of two from 1 to ${MAX_LENGTH}`);
  }
}

/** A bit for each slot, the servers, and the replicas that can get a turn. */
function scratchBytes(length: number, servers: readonly PreparedServer[]): number {
  const replicas = servers.reduce((sum, server) => sum + server.weight, 0);
  return takenBytes(length) + servers.length * L.SERVER_BYTES + Math.min(replicas, length) * L.REPLICA_BYTES + 64;
}

const takenBytes = (length: number) => Math.ceil(length / 512) * 64;

function fill(
  memory: Memory,
  table: number,
  scratch: number,
  length: number,
  servers: readonly PreparedServer[],
  none: number,
): void {
  if (servers.length === 0) {
    memory.u32.fill(none, table / 4, table / 4 + length);
    return;
  }
  const rows = scratch + takenBytes(length);
  memory.u8.fill(0, scratch, rows);
  servers.forEach(({ word, weight, value }, i) => {
    const row = rows + i * L.SERVER_BYTES;
    memory.u64[(row + L.SERVER_WORD) / 8] = word;
    memory.u32[(row + L.SERVER_WEIGHT) / 4] = weight;
    memory.u32[(row + L.SERVER_VALUE) / 4] = value;
  });
  kernelsOf(memory).fill(table, length, rows, servers.length, rows + servers.length * L.SERVER_BYTES, scratch);
}

const WORKSPACE = 65536;
let own: Arena | undefined;

/** A memory of this module's own, for tables that are handed out as arrays. */
function workspace(bytes: number): Memory {
  if (!own || own.bytes < WORKSPACE + bytes + 64) {
    own = Arena.create(Math.max(2 ** 22, 2 ** Math.ceil(Math.log2(WORKSPACE + bytes + 64))));
  }
  return own.memory;
}
