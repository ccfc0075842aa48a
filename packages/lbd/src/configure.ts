import { ControlError, type Lbd, type LbdConfig, runCommand } from '@lbd/control';

/** Does what the configuration says of the load balancer. @throws with the place in the file in front of the message */
export async function configure(lbd: Lbd, config: LbdConfig): Promise<void> {
  const { lb } = lbd;
  if (Object.keys(config.lb).length > 0) await at('lb', lb.lbConf(config.lb));
  for (const [i, { vip, servers }] of config.vips.entries()) {
    await at(`vips[${i}]`, lb.addVip(vip));
    for (const weight of new Set(servers.map((server) => server.weight))) {
      const addresses = servers.filter((server) => server.weight === weight).map(({ address }) => address);
      await at(`vips[${i}].as`, lb.addServers({ vip, addresses, weight, flush: false }));
    }
  }
  for (const operation of config.nat.interfaces) await at(`nat.nat${operation.family}`, setNat(lbd, operation));
  for (const [i, line] of config.commands.entries()) await at(`commands[${i}] "${line}"`, runCommand(lbd, line));
}

async function setNat({ lb }: Lbd, operation: LbdConfig['nat']['interfaces'][number]): Promise<void> {
  await lb.setNatInterface(operation);
}

async function at(place: string, done: unknown): Promise<void> {
  try {
    await done;
  } catch (error) {
    const { code = 'LBD_INTERNAL', message } = error as Error & { code?: string };
    throw new ControlError(code, `configuration: ${place}: ${message}`);
  }
}
