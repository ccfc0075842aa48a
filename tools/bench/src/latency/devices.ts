import { compile } from '../compile.ts';
import { type Device, kernelForwarding, lbd, nftablesDnat, onCore } from '../veth/devices.ts';

/** The C forwarder, both ways. */
function xdpBoth(name: string, title: string, ...more: readonly string[]): Device {
  return {
    name,
    title,
    async start(site) {
      const running = onCore(site, await compile('xdp-forward'), [site.client.name, site.server.name, 'both', ...more]);
      await running.waitForOutput(/ready/);
      return running;
    },
  };
}

export const spinning = xdpBoth('xdp-spin', 'AF_XDP in C, spinning');
export const polling = xdpBoth('xdp-poll', 'AF_XDP in C, poll', 'poll');

export const DEVICES: readonly Device[] = [lbd, spinning, polling, kernelForwarding, nftablesDnat];
