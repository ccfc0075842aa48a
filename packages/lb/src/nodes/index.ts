import type { Feature, NodeDeclaration } from '@lbd/graph';
import type { Encap } from '../encap.ts';
import type { LbHandles } from '../tables.ts';
import { chooserNodes } from './choosers.ts';
import { fragmentNodes } from './fragments.ts';
import { nodePortFeature, nodePortNode } from './nodeport.ts';
import { tunnelErrorsFeature, tunnelErrorsNode } from './tunnel-errors.ts';

export { ENCAP_FAN_OUT } from './choosers.ts';

/**
 * All nodes of the load balancer but the encaps'. lb4, lb4-port, lb6 and lb6-port are members of the fan-out `dpo`: the
 * DPOs of VIPs.
 * @param encaps all that there are: those whose tunnels ICMP errors may be about are among them
 */
export function lbNodes(lb: LbHandles, encaps: readonly Encap[] = []): readonly NodeDeclaration[] {
  return [...chooserNodes(lb), ...fragmentNodes(lb), nodePortNode(lb), tunnelErrorsNode(lb, encaps)];
}

/** Nodes of the load balancer that are features. All are for every interface. */
export const lbFeatures: readonly Feature[] = [nodePortFeature, tunnelErrorsFeature];
