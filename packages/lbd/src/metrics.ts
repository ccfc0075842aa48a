import type { Lbd, NodeCounter, VipState, WorkerPauses } from '@lbd/control';
import { Counter, Gauge, type Metric, Registry } from 'prom-client';

type Labels = Record<string, string | number>;
type Sample = readonly [Labels, number];

/** Where the figures come from. Counters are since the start: what `clear` resets is for people. */
export interface MetricSources {
  readonly lbd: Lbd;
  readonly counters: () => readonly NodeCounter[];
  /** By worker. */
  readonly pauses: () => readonly WorkerPauses[];
}

/** The metrics page, in Prometheus' text format. Names carry their units; nothing is computed until the page is asked for. */
export function metricsPage({ lbd, counters, pauses }: MetricSources): () => Promise<string> {
  const registry = new Registry();
  const add = (Kind: typeof Counter | typeof Gauge, name: string, help: string, samples: () => Promise<Sample[]>) => {
    const labelNames: string[] = labelsOf[name] ?? [];
    new Kind({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        this.reset();
        for (const [labels, value] of await samples()) this.inc(labels, value);
      },
    });
  };
  // One page asks for each of these once: of many VIPs all of them take a while.
  const asked = new Map<unknown, Promise<unknown>>();
  const once =
    <T>(ask: () => T | Promise<T>) =>
    (): Promise<T> => {
      if (!asked.has(ask)) asked.set(ask, Promise.resolve(ask()));
      return asked.get(ask) as Promise<T>;
    };
  const runtime = once(() => lbd.dataplane.runtime());
  const interfaces = once(() => lbd.dataplane.interfaces());
  const vips = once(() => lbd.lb.vips());
  const summary = once(() => lbd.lb.summary());

  const workers = (value: (w: Awaited<ReturnType<typeof runtime>>['workers'][number]) => number) => async () =>
    (await runtime()).workers.map((w): Sample => [{ worker: w.worker }, value(w)]);
  add(
    Gauge,
    'lbd_worker_free_buffers',
    'Packet buffers that are free',
    workers((w) => w.freeBuffers),
  );
  add(
    Gauge,
    'lbd_worker_buffers',
    'Packet buffers of the worker',
    workers((w) => w.buffers),
  );

  registry.registerMetric(pauseHistogram(pauses));

  add(Counter, 'lbd_node_events_total', 'What nodes counted: why packets were dropped or punted, and more', async () =>
    counters()
      .filter(({ count }) => count > 0)
      .map(({ node, name, count }): Sample => [{ node, reason: name }, count]),
  );

  for (const [name, direction, unit, field] of INTERFACE_METRICS) {
    add(Counter, `lbd_interface_${name}_total`, `${unit} that ${direction} the interface`, async () =>
      (await interfaces()).map((i): Sample => [{ interface: i.name }, i[field]]),
    );
  }
  add(Gauge, 'lbd_interface_up', '1 if the interface is up', async () =>
    (await interfaces()).map((i): Sample => [{ interface: i.name }, i.up ? 1 : 0]),
  );

  add(Counter, 'lbd_vip_packets_total', 'Packets to the VIP, by how their server was chosen', async () =>
    (await vips()).flatMap((vip): Sample[] => {
      const { existingSessions, firstSession, untracked, noServer } = vip.counters;
      const by = { existing: existingSessions, first: firstSession, untracked, no_server: noServer };
      return Object.entries(by).map(([choice, value]) => [{ ...vipLabels(vip), choice }, value]);
    }),
  );
  const servers = (value: (server: VipState['servers'][number]) => number) => async () =>
    (await vips()).flatMap((vip) =>
      vip.servers.map((server): Sample => [{ ...vipLabels(vip), server: server.address }, value(server)]),
    );
  add(
    Gauge,
    'lbd_server_flows',
    'Established flows on the server',
    servers(({ flows }) => flows),
  );
  add(
    Gauge,
    'lbd_server_weight',
    'Weight of the server, 0 to 100',
    servers(({ weight }) => weight),
  );
  add(
    Gauge,
    'lbd_server_slots',
    'Slots of the new-flow table that are the server’s',
    servers(({ buckets }) => buckets),
  );

  const sticky = (field: 'used' | 'capacity') => async () =>
    (await summary()).sticky.map((table): Sample => [{ worker: table.worker }, table[field]]);
  add(Gauge, 'lbd_sticky_flows', 'Flows in the worker’s sticky table', sticky('used'));
  add(Gauge, 'lbd_sticky_capacity_flows', 'Flows that the worker’s sticky table has room for', sticky('capacity'));
  const sessions = (field: 'sessions' | 'capacity') => async () =>
    (await summary()).sessions.map((table): Sample => [{ table: table.name }, table[field]]);
  add(Gauge, 'lbd_nat_sessions', 'NAT sessions', sessions('sessions'));
  add(Gauge, 'lbd_nat_capacity_sessions', 'NAT sessions that there is room for', sessions('capacity'));
  // Two pages at a time would add up in the same registry.
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const page = last.then(() => {
      asked.clear();
      return registry.metrics();
    });
    last = page.catch(() => {});
    return page;
  };
}

/** prom-client's own histograms observe values one by one; the workers have counted already. */
function pauseHistogram(pauses: MetricSources['pauses']): Metric {
  const name = 'lbd_worker_pause_seconds';
  const get = async () => ({
    name,
    help: 'Times between the beginnings of a worker’s breaths, in which packets wait; sleep left out',
    type: 'histogram',
    aggregator: 'sum',
    values: pauses().flatMap(({ sum, counts }, worker) => {
      let below = 0;
      const buckets = counts.map((count, k) => {
        below += count;
        // Bucket k is for less than 2^k microseconds, the last for all.
        const le = k === counts.length - 1 ? '+Inf' : 2 ** k / 1e6;
        return { metricName: `${name}_bucket`, labels: { worker, le }, value: below };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels: { worker }, value: sum / 1000 },
        { metricName: `${name}_count`, labels: { worker }, value: below },
      ];
    }),
  });
  return { name, get, reset() {}, collect() {} } as unknown as Metric;
}

const INTERFACE_METRICS = [
  ['receive_packets', 'came in on', 'Packets', 'rxPackets'],
  ['receive_bytes', 'came in on', 'Bytes', 'rxBytes'],
  ['receive_drops', 'were lost coming in on', 'Packets', 'rxDrops'],
  ['transmit_packets', 'left on', 'Packets', 'txPackets'],
  ['transmit_bytes', 'left on', 'Bytes', 'txBytes'],
  ['transmit_drops', 'could not leave on', 'Packets', 'txDrops'],
] as const;

const VIP_LABELS = ['vip', 'protocol', 'port'];

const labelsOf: Record<string, string[]> = {
  lbd_worker_free_buffers: ['worker'],
  lbd_worker_buffers: ['worker'],
  lbd_node_events_total: ['node', 'reason'],
  lbd_interface_up: ['interface'],
  ...Object.fromEntries(INTERFACE_METRICS.map(([name]) => [`lbd_interface_${name}_total`, ['interface']])),
  lbd_vip_packets_total: [...VIP_LABELS, 'choice'],
  lbd_server_flows: [...VIP_LABELS, 'server'],
  lbd_server_weight: [...VIP_LABELS, 'server'],
  lbd_server_slots: [...VIP_LABELS, 'server'],
  lbd_sticky_flows: ['worker'],
  lbd_sticky_capacity_flows: ['worker'],
  lbd_nat_sessions: ['table'],
  lbd_nat_capacity_sessions: ['table'],
};

function vipLabels({ prefix, protocol, port }: VipState): Labels {
  return { vip: prefix, protocol: protocol ?? '', port: port ?? '' };
}
