import { Bihash } from '@lbd/bihash';
import { dpo } from '@lbd/fib';
import { LbError } from './errors.ts';
import type { LbHost } from './host.ts';
import * as L from './layout.ts';
import type { VipSpec } from './model.ts';
import { portKey } from './port-key.ts';
import { type LbHandles, RecordPool, setLbFlag } from './tables.ts';
import { undoable } from './undoable.ts';
import { PROTOCOLS, type Vip, vipName } from './vip.ts';

/** All that a prefix serves: one all-port VIP, or per-port VIPs of one encap. */
interface VipPrefix {
  readonly text: string;
  /** Index of the prefix's lb4-port DPO; 0 for an all-port VIP. */
  readonly group: number;
  readonly encap: string;
  readonly vips: Set<Vip>;
}

/** What leads to VIPs: prefixes, ports of prefixes, node ports. */
export class VipDirectory {
  readonly #host: LbHost;
  readonly #lb: LbHandles;
  readonly #prefixes = new Map<string, VipPrefix>();
  /** VIPs by family, protocol and port on the node. */
  readonly #nodePorts = new Map<string, Vip>();
  readonly #groups: RecordPool;
  readonly #ports: Bihash;

  constructor(host: LbHost, lb: LbHandles) {
    this.#host = host;
    this.#lb = lb;
    this.#groups = new RecordPool('prefixes with per-port VIPs', L.NODE_PORT_GROUP6);
    this.#ports = Bihash.attach(host.arena.memory, lb.ports);
  }

  /** @throws LbError if what there is leaves no room beside it for such a VIP. @param prefix in normal form */
  check(spec: VipSpec, family: 4 | 6, prefix: string): void {
    const peers = this.#prefixes.get(prefix);
    if (peers) checkPeers(spec, peers);
    const node = nodePortOf(spec);
    const other = node && this.#nodePorts.get(nodePortKey(family, node));
    if (!other) return;
    throw new LbError(
      'LBD_LB_VIP_CONFLICT',
      `${vipName(spec)}: node port ${node.port} of protocol ${spec.protocol} is taken by ${vipName(other.spec)}: give another node_port`,
    );
  }

  /** If it fails, nothing leads to the VIP. */
  publish(vip: Vip): void {
    undoable((undo) => {
      this.#publishPrefix(vip);
      undo(() => this.#unpublishPrefix(vip));
      this.#publishNodePort(vip);
    });
  }

  unpublish(vip: Vip): void {
    this.#unpublishNodePort(vip);
    this.#unpublishPrefix(vip);
  }

  #publishPrefix(vip: Vip): void {
    const { spec } = vip;
    const { prefix: text, port, protocol, encap } = spec;
    const { dpoTypes } = this.#host;
    const { family } = vip.prefix;
    if (port === undefined) {
      this.#host.addPrefix(text, dpo(dpoTypes[`lb${family}`], vip.index));
      this.#prefixes.set(text, { text, group: 0, encap, vips: new Set([vip]) });
      return;
    }
    const peers = this.#prefixes.get(text);
    undoable((undo) => {
      const group = peers?.group ?? this.#groups.take();
      if (!peers) undo(() => this.#groups.give(group));
      const key = portKey(group, PROTOCOLS[protocol!], port);
      this.#ports.set(key, BigInt(vip.index));
      undo(() => this.#ports.delete(key));
      if (!peers) this.#host.addPrefix(text, dpo(dpoTypes[`lb${family}-port`], group));
      if (peers) peers.vips.add(vip);
      else this.#prefixes.set(text, { text, group, encap, vips: new Set([vip]) });
    });
  }

  #unpublishPrefix(vip: Vip): void {
    const { prefix, port, protocol } = vip.spec;
    const peers = this.#prefixes.get(prefix)!;
    if (port !== undefined) this.#ports.delete(portKey(peers.group, PROTOCOLS[protocol!], port));
    peers.vips.delete(vip);
    if (peers.vips.size > 0) return;
    this.#prefixes.delete(prefix);
    this.#host.removePrefix(prefix);
    if (peers.group !== 0) this.#groups.give(peers.group);
  }

  #publishNodePort(vip: Vip): void {
    const node = nodePortOf(vip.spec);
    if (!node) return;
    const { family } = vip.prefix;
    const key = portKey(groupOf(family), node.protocol, node.port);
    undoable((undo) => {
      this.#ports.set(key, BigInt(vip.index));
      undo(() => this.#ports.delete(key));
      this.#host.addNodePort(family, node.protocol, node.port);
      this.#nodePorts.set(nodePortKey(family, node), vip);
      this.#announceNodePorts();
    });
  }

  #unpublishNodePort(vip: Vip): void {
    const node = nodePortOf(vip.spec);
    if (!node) return;
    const { family } = vip.prefix;
    this.#host.removeNodePort(family, node.protocol, node.port);
    this.#ports.delete(portKey(groupOf(family), node.protocol, node.port));
    this.#nodePorts.delete(nodePortKey(family, node));
    this.#announceNodePorts();
  }

  #announceNodePorts(): void {
    setLbFlag(this.#host.arena.memory, this.#lb, L.LB_NODE_PORTS, this.#nodePorts.size > 0);
  }
}

interface NodePort {
  readonly protocol: number;
  readonly port: number;
}

/** The port on the node's own addresses: `node_port`, or `port` without it. */
function nodePortOf({ type, protocol, port, nodePort }: VipSpec): NodePort | undefined {
  if (type !== 'nodeport') return undefined;
  return { protocol: PROTOCOLS[protocol!], port: nodePort ?? port! };
}

const nodePortKey = (family: 4 | 6, { protocol, port }: NodePort) => `${family} ${protocol} ${port}`;

const groupOf = (family: 4 | 6) => (family === 4 ? L.NODE_PORT_GROUP4 : L.NODE_PORT_GROUP6);

function checkPeers(spec: VipSpec, peers: VipPrefix): void {
  const allPort = peers.group === 0;
  if (allPort || spec.port === undefined) {
    const has = allPort ? 'an all-port VIP' : 'per-port VIPs';
    throw new LbError('LBD_LB_VIP_CONFLICT', `prefix ${peers.text} has ${has} already: one or the other is allowed`);
  }
  if (peers.encap !== spec.encap) {
    throw new LbError(
      'LBD_LB_VIP_CONFLICT',
      `prefix ${peers.text} has VIPs with encap ${peers.encap}: all per-port VIPs of a prefix must have the same`,
    );
  }
}
