import { ControlError, type LoadBalancerModel, type NatInterface } from '@lbd/control';
import type { Feature } from '@lbd/graph';
import type { Steering } from '@lbd/io';
import type { Encap, LoadBalancer } from '@lbd/lb';
import type { Interfaces } from './interfaces.ts';

/**
 * The load balancer as control sees it: the model of @lbd/lb, and NAT on interfaces, which is a feature of the graph.
 * @param prepare waits until packets can be sent to new servers
 */
export function lbModel(
  balancer: LoadBalancer,
  encaps: readonly Encap[],
  interfaces: Interfaces,
  steering: Steering,
  prepare: (addresses: readonly string[]) => Promise<void>,
): LoadBalancerModel {
  return {
    lbConf: (change) => balancer.lbConf(change),
    lbConfGet: () => balancer.lbConfGet(),
    addVip: (vip) => balancer.addVip(vip),
    deleteVip: (vip) => balancer.deleteVip(vip),
    async addServers(operation) {
      await prepare(operation.addresses);
      await balancer.addServers(operation);
    },
    setWeight: (operation) => balancer.setWeight(operation),
    deleteServers: (operation) => balancer.deleteServers(operation),
    flushVip: (vip) => balancer.flushVip(vip),
    flushFlowTable: () => balancer.flushFlowTable(),
    summary: () => balancer.summary(),
    vips: () => balancer.vips(),
    setNatInterface(operation) {
      const index = interfaces.find(operation.interface);
      const feature = natFeature(encaps, operation);
      // What the driver takes must find the feature; the driver is the one that may refuse.
      if (!operation.enable) steering.setNat(index, operation.family, false);
      interfaces.setFeature(feature.node, index, operation.enable);
      if (!operation.enable) return;
      try {
        steering.setNat(index, operation.family, true);
      } catch (error) {
        interfaces.setFeature(feature.node, index, false);
        throw error;
      }
    },
  };
}

/** The feature that translates replies: that of the encap `nat4` or `nat6`. */
function natFeature(encaps: readonly Encap[], { family }: NatInterface): Feature {
  const name = `nat${family}`;
  const feature = encaps.find((encap) => encap.name === name)?.features?.[0];
  if (feature) return feature;
  const known = encaps.map((encap) => encap.name).join(', ');
  throw new ControlError('LBD_LB_ENCAP', `encap ${name} is not available; available are: ${known}`);
}
