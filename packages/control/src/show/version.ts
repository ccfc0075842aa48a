import type { VersionState } from '../model.ts';

export function formatVersion({ version, node, workers, uptime }: VersionState): string {
  return `lbd ${version}, Node.js ${node}, ${workers} worker${workers === 1 ? '' : 's'}, up ${Math.floor(uptime)} s`;
}
