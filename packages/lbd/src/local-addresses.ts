import type { KernelRoute } from '@lbd/fib';
import type { Steering } from '@lbd/io';
import { addressBytes, addressText, contains, familyOf, parsePrefix } from '@lbd/packet';

const LOCAL_TABLE = 255;

/** Not for packets from elsewhere, or the same on every link: no node port is there. */
const NOWHERE = ['127.0.0.0/8', '::1/128', 'fe80::/10'].map(parsePrefix);

type Addresses = Pick<Steering, 'addLocalAddress' | 'removeLocalAddress'>;

/** Tells the drivers which addresses are the host's own: those for which there is a route of type `local`. */
export class LocalAddresses {
  readonly #steering: Addresses;
  readonly #onError: (error: unknown) => void;

  /** @param onError a driver has no room for an address: its node ports are not lbd's there */
  constructor(steering: Addresses, onError: (error: unknown) => void) {
    this.#steering = steering;
    this.#onError = onError;
  }

  routeChanged(before: KernelRoute | undefined, now: KernelRoute | undefined): void {
    const [gone, come] = [localAddress(before), localAddress(now)];
    if (gone === come) return;
    try {
      if (come !== undefined) this.#steering.addLocalAddress(come);
    } catch (error) {
      this.#onError(error);
    }
    if (gone !== undefined) this.#steering.removeLocalAddress(gone);
  }
}

/** The address that a route makes local. Whole prefixes (`ip route add local 10.0.0.0/8 dev lo`) are left out. */
function localAddress(route: KernelRoute | undefined): string | undefined {
  if (route?.type !== 'local' || route.table !== LOCAL_TABLE) return undefined;
  const [text, length] = route.destination.split('/') as [string, string];
  const bytes = addressBytes(text);
  if (Number(length) !== bytes.length * 8) return undefined;
  const nowhere = NOWHERE.some((prefix) => prefix.family === familyOf(bytes) && contains(prefix, bytes));
  return nowhere ? undefined : addressText(bytes);
}
