import { DPO, DPO_RECEIVE, dpo, type RouteTable } from '@lbd/fib';
import { type LinkedGraph, monotonicClock, secondsAt } from '@lbd/graph';
import type { Steering } from '@lbd/io';
import { ENCAP_FAN_OUT, type LbHost, type LbTask } from '@lbd/lb';
import type { Arena, Epochs } from '@lbd/memory';
import { addressBytes } from '@lbd/packet';
import { placeIn } from './dataplane.ts';
import { setVipWords } from './vip-words.ts';

export interface LbHostParts {
  readonly arena: Arena;
  readonly epochs: Epochs;
  readonly graph: LinkedGraph;
  readonly routes: RouteTable;
  readonly steering: Steering;
  readonly onWorkers: (task: LbTask) => Promise<void>;
}

/** In the DPO of addresses that packets are received for, but that no interface has. */
const NO_INTERFACE = 0xffffff;

const hostPrefix = (address: string) => `${address}/${addressBytes(address).length * 8}`;

/** The rest of the dataplane, as the load balancer sees it. */
export function lbHost({ arena, epochs, graph, routes, steering, onWorkers }: LbHostParts): LbHost {
  const clock = monotonicClock();
  const place = (node: string) => placeIn(graph.fanOuts, DPO, node);
  const dpoTypes = {
    lb4: place('lb4'),
    'lb4-port': place('lb4-port'),
    lb6: place('lb6'),
    'lb6-port': place('lb6-port'),
  };
  setVipWords(routes.formats, place);
  return {
    arena,
    epochs,
    dpoTypes,
    onWorkers,
    track: (address, changed) => routes.track(address, changed),
    // The route first: a packet that the driver takes is then the VIP's.
    addPrefix(prefix, dpo) {
      routes.addSpecial(prefix, dpo);
      try {
        steering.addPrefix(prefix);
      } catch (error) {
        routes.removeSpecial(prefix);
        throw error;
      }
    },
    removePrefix(prefix) {
      steering.removePrefix(prefix);
      routes.removeSpecial(prefix);
    },
    addReturn: (address, protocol, port) => steering.addReturn(address, protocol, port),
    removeReturn: (address, protocol, port) => steering.removeReturn(address, protocol, port),
    addNodePort: (family, protocol, port) => steering.addNodePort(family, protocol, port),
    removeNodePort: (family, protocol, port) => steering.removeNodePort(family, protocol, port),
    // An address that no interface of the host has leads to it all the same: what routers say to it is for lbd.
    addTunnelSource(address) {
      routes.addSpecial(hostPrefix(address), dpo(DPO_RECEIVE, NO_INTERFACE));
      try {
        steering.addTunnelSource(address);
      } catch (error) {
        routes.removeSpecial(hostPrefix(address));
        throw error;
      }
    },
    removeTunnelSource(address) {
      steering.removeTunnelSource(address);
      routes.removeSpecial(hostPrefix(address));
    },
    now: () => secondsAt(clock()),
    lookup: (address) => routes.lookup(addressBytes(address)),
    describe: (dpo) => routes.formatDpo(dpo),
    encapPlace: (name) => placeIn(graph.fanOuts, ENCAP_FAN_OUT, name),
  };
}
