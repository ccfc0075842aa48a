import { checkEncap, ENCAP_API, type Encap } from '@lbd/lb';

/** Fields of which an export has at least two if it is meant to be an encap. */
const SIGNS = ['name', 'vipFamilies', 'serverFamily', 'overhead', 'nodes'];

/**
 * The encaps that a package exports, each checked as `defineEncap` checks it, which the package need not have called.
 * @throws Error that says what is wrong
 */
export function encapsOf(exported: Readonly<Record<string, unknown>>): Encap[] {
  const encaps = [...new Set(Object.values(exported))].filter(looksLikeEncap);
  if (encaps.length === 0) throw new TypeError('it exports no encap (see defineEncap of @lbd/lb)');
  for (const encap of encaps) {
    checkEncap(encap);
    checkVersion(encap);
  }
  return encaps;
}

function looksLikeEncap(value: unknown): value is Encap {
  if (typeof value !== 'object' || value === null) return false;
  return SIGNS.filter((field) => field in value).length >= 2;
}

/** An encap's kernels have the layouts of one version compiled in: another would read and write the wrong words. */
function checkVersion({ name, api }: Encap): void {
  if (api === ENCAP_API) return;
  throw new TypeError(
    api === undefined
      ? `encap ${name}: api is missing: must be ${ENCAP_API}, the version of the encap interface (defineEncap fills it in)`
      : `encap ${name}: it was made for version ${api} of the encap interface, and this lbd has version ${ENCAP_API}: install and build it with the @lbd/lb of this lbd`,
  );
}
