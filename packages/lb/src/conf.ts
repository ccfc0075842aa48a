import { addressBytes, addressText } from '@lbd/packet';
import { LbError } from './errors.ts';
import type { LbHost } from './host.ts';
import * as L from './layout.ts';
import type { LbConf, LbConfState } from './model.ts';
import { StickyTables } from './sticky-tables.ts';
import { type LbHandles, setLbFlag } from './tables.ts';

const MOST_BUCKETS = 1 << 24;
const MOST_SECONDS = 1 << 30;

/** `lb conf`: the settings, and what follows from them in the workers' tables. */
export class Conf {
  readonly sticky: StickyTables;
  readonly #host: LbHost;
  readonly #lb: LbHandles;
  #state: LbConfState;

  constructor(host: LbHost, lb: LbHandles, initial: Partial<LbConfState>) {
    this.#host = host;
    this.#lb = lb;
    this.sticky = new StickyTables(host, lb);
    this.#state = { buckets: 1024, timeout: 40, flowHash: 'crc32c', fragment: true, ...initial };
    this.#moveTunnelSources({}, this.#state);
    this.#publish();
  }

  get state(): LbConfState {
    return this.#state;
  }

  /** What is left out stays as it is. If it fails, nothing has changed. @throws LbError, OutOfMemoryError */
  async change(change: LbConf): Promise<void> {
    checkConf(change);
    const before = this.#state;
    const conf = { ...before, ...change };
    this.#moveTunnelSources(before, conf);
    try {
      if (conf.buckets !== before.buckets) await this.sticky.replace(conf);
      else if (conf.timeout !== before.timeout) this.sticky.setTimeout(conf.timeout);
    } catch (error) {
      this.#moveTunnelSources(conf, before);
      throw error;
    }
    this.#state = conf;
    this.#publish();
  }

  #publish(): void {
    const { memory } = this.#host.arena;
    const { ip4SrcAddress, ip6SrcAddress, flowHash, fragment } = this.#state;
    setLbFlag(memory, this.#lb, L.LB_FRAGMENT, fragment);
    for (const block of this.#lb.blocks) {
      memory.u32[(block + L.LB_HASH) >>> 2] = this.#lb.flowHashes[flowHash];
      if (ip4SrcAddress !== undefined) memory.u8.set(addressBytes(ip4SrcAddress), block + L.LB_SOURCE4);
      if (ip6SrcAddress !== undefined) memory.u8.set(addressBytes(ip6SrcAddress), block + L.LB_SOURCE6);
    }
  }

  /** If it fails, nothing has moved. */
  #moveTunnelSources(before: LbConf, now: LbConf): void {
    const sources = ({ ip4SrcAddress, ip6SrcAddress }: LbConf) =>
      [ip4SrcAddress, ip6SrcAddress].flatMap((text) => (text === undefined ? [] : [addressText(addressBytes(text))]));
    const kept = new Set(sources(before));
    const added: string[] = [];
    try {
      for (const address of sources(now)) {
        if (kept.delete(address)) continue;
        this.#host.addTunnelSource(address);
        added.push(address);
      }
    } catch (error) {
      for (const address of added) this.#host.removeTunnelSource(address);
      throw error;
    }
    for (const address of kept) this.#host.removeTunnelSource(address);
  }
}

function checkConf({ buckets, timeout, flowHash, fragment, ip4SrcAddress, ip6SrcAddress }: LbConf): void {
  if (buckets !== undefined && !(isWithin(buckets, MOST_BUCKETS) && (buckets & (buckets - 1)) === 0)) {
    throw new LbError('LBD_LB_INVALID', `buckets ${buckets}: must be a power of two, 1 to ${MOST_BUCKETS}`);
  }
  if (timeout !== undefined && !isWithin(timeout, MOST_SECONDS)) {
    throw new LbError('LBD_LB_INVALID', `timeout ${timeout}: must be 1 to ${MOST_SECONDS} seconds`);
  }
  if (flowHash !== undefined && flowHash !== 'crc32c' && flowHash !== 'keyed') {
    throw new LbError('LBD_LB_INVALID', `flow-hash ${flowHash as string}: must be crc32c or keyed`);
  }
  if (fragment !== undefined && typeof fragment !== 'boolean') {
    throw new LbError('LBD_LB_INVALID', `fragment ${fragment as string}: must be true or false`);
  }
  if (ip4SrcAddress !== undefined && addressBytes(ip4SrcAddress).length !== 4) {
    throw new LbError('LBD_LB_FAMILY', `ip4-src-address ${ip4SrcAddress}: must be an IPv4 address`);
  }
  if (ip6SrcAddress !== undefined && addressBytes(ip6SrcAddress).length !== 16) {
    throw new LbError('LBD_LB_FAMILY', `ip6-src-address ${ip6SrcAddress}: must be an IPv6 address`);
  }
}

const isWithin = (value: number, most: number) => Number.isInteger(value) && value >= 1 && value <= most;
