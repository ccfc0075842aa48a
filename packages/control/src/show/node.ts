import type { NodeInfo } from '../model.ts';
import { table } from './table.ts';

export function formatNodes(nodes: readonly NodeInfo[], detailed: boolean): string {
  if (detailed) return nodes.map(format).join('\n');
  return table(
    ['Name', 'Kind', 'Loop', 'Next'],
    nodes.map(({ name, kind, loop, next, disabled }) => [name, disabled > 0 ? 'disabled' : kind, loop, next.join(' ')]),
  );
}

function format({ name, kind, loop, next, previous, counters, disabled }: NodeInfo): string {
  const lines = [`node ${name}, ${kind}, ${loop}`];
  if (disabled > 0)
    lines.push(`  disabled in ${disabled} workers, since it trapped again and again: its packets are dropped`);
  lines.push('  next nodes:', ...next.map((node, slot) => `    [${slot}] ${node}`));
  lines.push('  known previous nodes:', ...previous.map((node) => `    ${node}`));
  lines.push('  counters:', ...counters.map((counter) => `    ${counter.name}: ${counter.meaning}`));
  return lines.join('\n');
}
