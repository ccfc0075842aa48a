import { ControlError, type LbdConfig } from '@lbd/control';
import { type Encap, encapOptions } from '@lbd/lb';
import { encapsOf } from './plugins/exports.ts';
import { importPackage } from './plugins/import.ts';
import { probePlugin } from './plugins/probe.ts';

/** The encaps that come with lbd, by package. */
const BUILT_IN = ['@lbd/encap-gre', '@lbd/encap-l3dsr', '@lbd/encap-nat'];

/** An encap, and the package that it comes from. */
export interface LoadedEncap {
  readonly encap: Encap;
  readonly from: string;
}

/**
 * The encaps of lbd and of plugins: every export of a package that is an encap. Every thread loads the same.
 * @throws ControlError LBD_PLUGIN
 */
export async function loadEncaps(plugins: readonly string[]): Promise<LoadedEncap[]> {
  const loaded: LoadedEncap[] = [];
  for (const from of [...BUILT_IN, ...plugins]) {
    for (const encap of await encapsFrom(from)) {
      const other = loaded.find((one) => one.encap.name === encap.name);
      if (other) {
        throw new ControlError(
          'LBD_PLUGIN',
          `plugin ${from} is refused: ${other.from} has an encap ${encap.name} already`,
        );
      }
      loaded.push({ encap, from });
    }
  }
  return loaded;
}

async function encapsFrom(name: string): Promise<Encap[]> {
  try {
    return encapsOf(await importPackage(name));
  } catch (error) {
    throw new ControlError('LBD_PLUGIN', `plugin ${name} is refused: ${(error as Error).message}`);
  }
}

/**
 * Tries the plugins of a configuration before anything of them is loaded.
 * @throws ControlError LBD_PLUGIN, with the name of the first that is refused, and the reason
 */
export async function probePlugins({ plugins, encaps, memory }: LbdConfig): Promise<void> {
  for (const plugin of plugins) await probePlugin({ plugin, options: encaps, memory });
}

/** VIPs have encaps that there are. @throws ControlError LBD_CONFIG_INVALID, with a line for each VIP whose encap is not one */
export function checkVipEncaps({ vips }: LbdConfig, encaps: readonly { readonly name: string }[]): void {
  const known = encaps.map(({ name }) => name);
  const lines = vips.flatMap(({ vip }, i) =>
    known.includes(vip.encap)
      ? []
      : [`configuration: vips[${i}].encap: ${vip.encap} is not available; available are: ${known.join(', ')}`],
  );
  if (lines.length > 0) throw new ControlError('LBD_CONFIG_INVALID', lines.join('\n'));
}

/**
 * What each encap is told by the configuration, as its own schema has it, in the order of the encaps.
 * @throws ControlError LBD_CONFIG_INVALID
 */
export async function configuredOptions(encaps: readonly Encap[], config: LbdConfig): Promise<unknown[]> {
  checkVipEncaps(config, encaps);
  const unknown = Object.keys(config.encaps).find((name) => !encaps.some((encap) => encap.name === name));
  if (unknown !== undefined) {
    const known = encaps.map(({ name }) => name).join(', ');
    throw new ControlError(
      'LBD_CONFIG_INVALID',
      `configuration: encaps.${unknown}: there is no encap ${unknown}: available are ${known}`,
    );
  }
  const given: Readonly<Record<string, unknown>> = {
    ...config.encaps,
    nat4: config.nat.options,
    nat6: config.nat.options,
  };
  try {
    return await Promise.all(encaps.map((encap) => encapOptions(encap, given[encap.name])));
  } catch (error) {
    const lines = (error as Error).message.split('\n').map((line) => `configuration: ${line}`);
    throw new ControlError('LBD_CONFIG_INVALID', lines.join('\n'));
  }
}
