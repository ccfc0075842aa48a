import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { obstacle } from '@lbd/netlab';

/** Why the veth benchmark cannot run here; undefined if it can. */
export function missing(): string | undefined {
  const why = obstacle('xdp');
  if (why !== undefined) return why;
  if (cpus().length < 2) return 'needs two cores: one for the generator, one for the device under test';
  const absent = ['nft', 'taskset'].filter((program) => spawnSync(program, ['--version'], { env: path() }).error);
  return absent.length > 0 ? `needs ${absent.join(' and ')}` : undefined;
}

function path(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}
