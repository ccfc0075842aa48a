import { labSuite } from '@lbd/netlab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCAP_CASES, EncapLab, PORT } from './support/encap-lab.ts';
import { flowHash, type ModelServer, newFlowTable } from './support/model.ts';

const CLIENT = '10.1.0.2';
const SLOTS = 1024;
/** Flows by source port: those that are there from the beginning, and more for each step. */
const STEADY = ports(20_000, 60);

const LAST_PORT = 65_000;

function ports(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

const cases = ENCAP_CASES.filter(({ name }) => ['ip4-gre4, all ports', 'ip4-nat4, one port'].includes(name));

/** Where flows go, by the model: what was established stays, and what is new goes where the new-flow table says. */
class Model {
  readonly servers = new Map<string, number>();
  readonly #established = new Map<number, string>();
  readonly #vip: string;

  constructor(vip: string) {
    this.#vip = vip;
  }

  /** The flow's server, from its next packet on. */
  send(port: number): string {
    const known = this.#established.get(port);
    if (known !== undefined) return known;
    const rows: ModelServer[] = [...this.servers].map(([address, weight]) => ({ address, weight }));
    const table = newFlowTable(rows, SLOTS);
    const server = table[flowHash(CLIENT, this.#vip, port, PORT) & (SLOTS - 1)]!;
    this.#established.set(port, server);
    return server;
  }

  /** The flows of these servers (all unless told) begin anew. */
  forget(addresses?: readonly string[]): void {
    for (const [port, server] of this.#established) {
      if (!addresses || addresses.includes(server)) this.#established.delete(port);
    }
  }
}

describe.each(cases)('sticky flows of $name, under change', (encapCase) => {
  labSuite(describe, 'xdp', 'with real traffic', () => {
    let bed: EncapLab;
    let model: Model;
    let key: string;
    let fresh = 30_000;

    beforeAll(async () => {
      bed = await EncapLab.create(encapCase);
      model = new Model(bed.words.vip);
      key = bed.words.echoKey;
      for (const address of bed.words.servers) model.servers.set(address, 100);
    });

    afterAll(async () => {
      await bed?.destroy();
    });

    /** Sends a datagram of each steady flow and of 40 new ones: each is answered by the server that the model says. */
    async function agree(): Promise<void> {
      // A fast machine runs out of ports that were never used.
      const more = Math.min(40, LAST_PORT - fresh);
      const localPorts = [...STEADY, ...ports(fresh, more)];
      fresh += more;
      const result = await bed.client.call('udpLoad', { host: bed.words.vip, port: PORT, localPorts });
      expect(result).toMatchObject({ answered: localPorts.length, lost: 0, damaged: 0 });
      const seen = Object.fromEntries(result.flows.map(({ localPort, servers }) => [localPort, servers]));
      const expected = localPorts.map((port) => [port, [`server${model.send(port).split('.').at(-1)}`]]);
      expect(seen).toEqual(Object.fromEntries(expected));
    }

    const command = (line: string) => bed.lbd.command(line);

    it('all is well at first, and again', async () => {
      await agree();
      await agree();
    });

    it('a weight changes', async () => {
      await command(`lb as ${key} ${bed.words.servers[0]} weight 20`);
      model.servers.set(bed.words.servers[0]!, 20);
      await agree();
    });

    it('a server is deleted: its flows stay, and nobody new comes', async () => {
      await command(`lb as ${key} ${bed.words.servers[1]} del`);
      model.servers.delete(bed.words.servers[1]!);
      await agree();
    });

    it('it is added again', async () => {
      await command(`lb as ${key} ${bed.words.servers[1]}`);
      model.servers.set(bed.words.servers[1]!, 100);
      await agree();
    });

    it('a server is drained, and its flows are flushed', async () => {
      await command(`lb as ${key} ${bed.words.servers[2]} weight 0`);
      model.servers.set(bed.words.servers[2]!, 0);
      await agree();
      await command(`lb as ${key} ${bed.words.servers[2]} weight 0 flush`);
      model.forget([bed.words.servers[2]!]);
      await agree();
    });

    it('a server is deleted with flush: its flows go elsewhere, the others stay', async () => {
      await command(`lb as ${key} ${bed.words.servers[0]} del flush`);
      model.servers.delete(bed.words.servers[0]!);
      model.forget([bed.words.servers[0]!]);
      await agree();
      await command(`lb as ${key} ${bed.words.servers[0]}`);
      model.servers.set(bed.words.servers[0]!, 100);
      await agree();
    });

    it('the VIP is flushed', async () => {
      await command(`lb as ${key} ${bed.words.servers[2]} weight 60`);
      model.servers.set(bed.words.servers[2]!, 60);
      await command(`lb flush vip ${key}`);
      model.forget();
      await agree();
    });

    it('the VIP is deleted, and added again', async () => {
      const keyed = (line: string) => line.includes(` ${key} `);
      await command(`lb vip ${key} del`);
      for (const line of bed.words.commands.filter(keyed)) await command(line);
      for (const address of bed.words.servers) model.servers.set(address, 100);
      model.forget();
      await agree();
    });

    it('a thousand VIPs with a hundred servers each are loaded meanwhile', async () => {
      let loading = true;
      const load = (async () => {
        // Servers behind a gateway that is there; the VIPs are of the encap under test, on a network of their own.
        const servers = Array.from({ length: 100 }, (_, n) => `192.168.77.${n + 1}`).join(' ');
        const { encap } = encapCase;
        const more = encap === 'nat4' ? ' type clusterip target_port 80' : '';
        for (let n = 0; n < 1000; n++) {
          const vip = `10.20.${n >> 8}.${n & 255}/32${encap === 'nat4' ? ' protocol udp port 53' : ''}`;
          await command(`lb vip ${vip} encap ${encap} new_len 128${more}`);
          await command(`lb as ${vip} ${servers}`);
        }
        loading = false;
      })();
      await bed.lab.host.ip('route add 192.168.77.0/24 via 192.168.1.1');
      let rounds = 0;
      while (loading) {
        await agree();
        rounds++;
      }
      await load;
      expect(rounds).toBeGreaterThan(1);
      await agree();
      expect(await bed.lbd.data('show lb')).toMatchObject({ vips: encapCase.perPort ? 1002 : 1001 });
    }, 120_000);
  });
});
