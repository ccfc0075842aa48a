import type { NodeInfo } from '../model.ts';
import { table } from './table.ts';

export function formatNodes(nodes: readonly NodeInfo[], detailed: boolean): string {
  if (detailed) return nodes.map(format).join('\n');
  return table(
    ['Name', 'Kind', 'Loop', 'Next'],
    nodes.map(({ name, kind, loop, next }) => [name, kind, loop, next.join(' ')]),
  );
}

function format({ name, kind, loop, next, previous, counters }: NodeInfo): string {
  const lines = [`node ${name}, ${kind}, ${loop}`];
  lines.push('  next nodes:', ...next.map((node, slot) => `    [${slot}] ${node}`));
  lines.push('  known previous nodes:', ...previous.map((node) => `    ${node}`));
  lines.push('  counters:', ...counters.map((counter) => `    ${counter.name}: ${counter.meaning}`));
  return lines.join('\n');
}
