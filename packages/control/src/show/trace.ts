import type { PacketTrace } from '../model.ts';

/** Laid out as VPP's `show trace`: a packet, then its nodes, each with its own words below it. */
export function formatTrace(packets: readonly PacketTrace[]): string {
  if (packets.length === 0) return 'no packets traced: "trace add <n>" traces the next n';
  return packets.map(format).join('\n\n');
}

function format({ worker, milliseconds, steps }: PacketTrace, index: number): string {
  const lines = [`Packet ${index + 1}, worker ${worker}, ${(milliseconds / 1000).toFixed(3)} s`];
  for (const { node, text } of steps) {
    const words = text.startsWith(`${node}: `) ? text.slice(node.length + 2) : text;
    lines.push(node);
    if (words !== '') lines.push(...words.split('\n').map((line) => `  ${line}`));
  }
  return lines.join('\n');
}
