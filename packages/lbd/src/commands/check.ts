import { loadConfig } from '@lbd/control';
import { configuredOptions, loadEncaps, probePlugins } from '../encaps.ts';
import { report } from './report.ts';

/** `lbd --check-config`. @returns the exit code */
export async function check(file: string): Promise<number> {
  try {
    const config = loadConfig(file);
    await probePlugins(config);
    const loaded = await loadEncaps(config.plugins);
    await configuredOptions(
      loaded.map(({ encap }) => encap),
      config,
    );
  } catch (error) {
    report(error);
    return 1;
  }
  process.stdout.write(`${file}: good\n`);
  return 0;
}
