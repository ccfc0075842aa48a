import { ControlError, type EncapState, type LoadBalancerModel, type NatInterface } from '@lbd/control';
import type { Feature } from '@lbd/graph';
import type { Steering } from '@lbd/io';
import { describeOptions, type Encap, type LoadBalancer } from '@lbd/lb';
import type { Interfaces } from './interfaces.ts';

export interface LbModelParts {
  readonly balancer: LoadBalancer;
  readonly encaps: readonly Encap[];
  /** The package of each encap. */
  readonly encapPackages: readonly string[];
  /** The options of each encap, as its schema has them. */
  readonly told: readonly unknown[];
  readonly interfaces: Interfaces;
  readonly steering: Steering;
  /** Waits until packets can be sent to new servers. */
  readonly prepare: (addresses: readonly string[]) => Promise<void>;
}

/** The load balancer as control sees it: the model of @lbd/lb, and NAT on interfaces, which is a feature of the graph. */
export function lbModel(parts: LbModelParts): LoadBalancerModel {
  const { balancer, encaps, interfaces, steering, prepare } = parts;
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
    encaps: () => encaps.map((encap, i) => encapState(encap, parts.encapPackages[i]!, parts.told[i])),
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

function encapState(encap: Encap, from: string, told: unknown): EncapState {
  const { name, summary, vipFamilies, serverFamily, overhead } = encap;
  const values = (typeof told === 'object' && told !== null ? told : {}) as Readonly<Record<string, unknown>>;
  // A schema that can't list its options: those that it made values of are named.
  const described = describeOptions(encap) ?? Object.keys(values).map((option) => ({ name: option, allowed: '' }));
  const options = described.map((option) => ({
    name: option.name,
    value: values[option.name] ?? null,
    allowed: option.allowed,
    description: 'description' in option ? (option.description ?? '') : '',
  }));
  return { name, summary, vipFamilies, serverFamily, overhead, from, options };
}

/** The feature that translates replies: that of the encap `nat4` or `nat6`. */
function natFeature(encaps: readonly Encap[], { family }: NatInterface): Feature {
  const name = `nat${family}`;
  const feature = encaps.find((encap) => encap.name === name)?.features?.[0];
  if (feature) return feature;
  const known = encaps.map((encap) => encap.name).join(', ');
  throw new ControlError('LBD_LB_ENCAP', `encap ${name} is not available; available are: ${known}`);
}
