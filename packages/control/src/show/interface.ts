import type { InterfaceState } from '../model.ts';

export function formatInterfaces(interfaces: readonly InterfaceState[]): string {
  return interfaces.map(format).join('\n');
}

function format(i: InterfaceState): string {
  const lines = [
    `${i.name} (${i.index}): ${i.up ? 'up' : 'down'}, ${i.driver}${i.mode ? ` ${i.mode}` : ''}, ${i.queues} queue${i.queues === 1 ? '' : 's'}, mtu ${i.mtu}, mac ${i.mac}`,
  ];
  if (i.addresses.length > 0) lines.push(`  addresses: ${i.addresses.join(', ')}`);
  if (i.features.length > 0) lines.push(`  features: ${i.features.join(', ')}`);
  lines.push(
    `  rx packets ${i.rxPackets}, bytes ${i.rxBytes}, drops ${i.rxDrops}`,
    `  tx packets ${i.txPackets}, bytes ${i.txBytes}, drops ${i.txDrops}`,
  );
  return lines.join('\n');
}
