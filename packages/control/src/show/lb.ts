import type { EncapState, LbSummary, VipState } from '../model.ts';
import { familyOf } from '../values/address.ts';
import { table } from './table.ts';

/** Laid out as VPP's `show lb`. */
export function formatLb({ conf, vips, servers, sticky, sessions }: LbSummary): string {
  const lines = [
    'lb_main',
    ` ip4-src-address: ${conf.ip4SrcAddress ?? 'not set'}`,
    ` ip6-src-address: ${conf.ip6SrcAddress ?? 'not set'}`,
    ` flow-hash: ${conf.flowHash}`,
    ` fragment: ${conf.fragment}`,
    ` #vips: ${vips}`,
    ` #ass: ${servers}`,
  ];
  for (const { worker, used, capacity } of sticky) {
    lines.push(`core ${worker}`, `  timeout: ${conf.timeout}s`, `  usage: ${used} / ${capacity}`);
  }
  for (const table of sessions) lines.push(`${table.name} sessions: ${table.sessions} / ${table.capacity}`);
  return lines.join('\n');
}

/** What each encap is, and below the options that it has. */
export function formatEncaps(encaps: readonly EncapState[]): string {
  const families = (encap: EncapState) => encap.vipFamilies.map((family) => `ip${family}`).join(' ');
  const rows = encaps.map((encap) => [
    encap.name,
    families(encap),
    `ip${encap.serverFamily}`,
    encap.overhead,
    encap.from,
    encap.summary,
  ]);
  const lines = [table(['Encap', 'VIPs', 'ASs', 'Overhead', 'Package', 'Summary'], rows)];
  for (const { name, options } of encaps) {
    if (options.length > 0) lines.push(`options of ${name}:`);
    for (const { name: option, value, allowed, description } of options) {
      const words = [allowed && `(${allowed})`, description].filter((text) => text !== '').join('  ');
      lines.push(`  ${option}: ${typeof value === 'string' ? value : JSON.stringify(value)}  ${words}`.trimEnd());
    }
  }
  return lines.join('\n');
}

export function formatVips(vips: readonly VipState[], verbose: boolean): string {
  return vips.map(verbose ? detailed : brief).join('\n');
}

/** What VPP calls the type of a VIP: its family and encap. */
function typeOf(vip: VipState): string {
  return `ip${familyOf(vip.prefix)}-${vip.encap}`;
}

function natWords(vip: VipState): string {
  const node = vip.nodePort === undefined ? '' : ` node_port:${vip.nodePort}`;
  return `type:${vip.type} port:${vip.port} target_port:${vip.targetPort}${node}`;
}

function brief(vip: VipState): string {
  const words = [typeOf(vip), vip.prefix, `new_size:${vip.newLen}`, `#as:${vip.servers.length}`];
  if (vip.removed) words.push('removed');
  if (vip.port !== undefined) words.push(`protocol:${vip.protocol} port:${vip.port}`);
  if (vip.dscp !== undefined) words.push(`dscp:${vip.dscp}`);
  if (vip.targetPort !== undefined) words.push(natWords(vip));
  if (vip.srcIpSticky) words.push('src_ip_sticky');
  return words.join(' ');
}

function detailed(vip: VipState): string {
  const { counters } = vip;
  const lines = [
    `${typeOf(vip)} [${vip.index}] ${vip.prefix}${vip.removed ? ' removed' : ''}`,
    `  new_size:${vip.newLen}`,
  ];
  if (vip.port !== undefined) lines.push(`  protocol:${vip.protocol} port:${vip.port}`);
  if (vip.dscp !== undefined) lines.push(`  dscp:${vip.dscp}`);
  if (vip.targetPort !== undefined) lines.push(`  ${natWords(vip)}`);
  if (vip.srcIpSticky) lines.push('  src_ip_sticky');
  if (vip.note !== undefined) lines.push(`  ${vip.note}`);
  lines.push(
    '  counters:',
    `    packet from existing sessions: ${counters.existingSessions}`,
    `    first session packet: ${counters.firstSession}`,
    `    untracked packet: ${counters.untracked}`,
    `    no server configured: ${counters.noServer}`,
    `  #as:${vip.servers.length}`,
  );
  for (const { address, weight, buckets, flows, dpo, state } of vip.servers) {
    lines.push(`    ${address} weight ${weight} ${buckets} buckets   ${flows} flows  dpo:${dpo} ${state}`);
  }
  return lines.join('\n');
}
