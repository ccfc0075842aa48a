import {
  type ControlServer,
  type DataplaneModel,
  type Lbd,
  type LbdConfig,
  roomForTables,
  serveControl,
} from '@lbd/control';
import { IpTables, RouteTable } from '@lbd/fib';
import { allocateBuffers, allocateGraph, compileKernels, FeatureTable, monotonicClock } from '@lbd/graph';
import { allocateLb, LoadBalancer } from '@lbd/lb';
import { Arena, Epochs } from '@lbd/memory';
import { Cleanup } from './cleanup.ts';
import { configure } from './configure.ts';
import { buildGraph, type GraphPlan, loadParts } from './dataplane.ts';
import { configuredOptions, probePlugins } from './encaps.ts';
import { Interfaces } from './interfaces.ts';
import { KernelWorld } from './kernel-world.ts';
import { lbHost } from './lb-host.ts';
import { lbModel } from './lb-model.ts';
import { LocalAddresses } from './local-addresses.ts';
import { metricsPage } from './metrics.ts';
import { neighboursKnown } from './neighbours.ts';
import { openPorts } from './ports.ts';
import { GraphView } from './show/graph-view.ts';
import { Traces } from './show/traces.ts';
import { StaticWorld } from './static-world.ts';
import { version } from './version.ts';
import { startWorkers } from './worker/start-workers.ts';
import { type World, WorldSink } from './world.ts';

/** Where a daemon tells what happens. A pino logger is one. */
export interface Log {
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}

export interface DaemonOptions {
  readonly log: Log;
  /** Serve the control socket; true unless told. */
  readonly control?: boolean;
  /** A worker or another part failed for good: the daemon must end. */
  readonly onFailure: (error: Error) => void;
}

const TICK_MS = 1000;

/** A running lbd. */
export class Daemon {
  readonly lbd: Lbd;
  /** Resolves when every input has ended, which only captures do. */
  readonly finished: Promise<void>;
  readonly #cleanup: Cleanup;

  private constructor(lbd: Lbd, finished: Promise<void>, cleanup: Cleanup) {
    this.lbd = lbd;
    this.finished = finished;
    this.#cleanup = cleanup;
  }

  /** Starts everything; what fails undoes the rest. @throws coded errors for what a user can put right */
  static async start(config: LbdConfig, options: DaemonOptions): Promise<Daemon> {
    const cleanup = new Cleanup();
    try {
      return await start(config, options, cleanup);
    } catch (error) {
      await cleanup.run();
      throw error;
    }
  }

  /** Ends everything: interfaces are the kernel's alone again. @returns what went wrong */
  close(): Promise<unknown[]> {
    return this.#cleanup.run();
  }

  /** @internal */
  static make(lbd: Lbd, finished: Promise<void>, cleanup: Cleanup): Daemon {
    return new Daemon(lbd, finished, cleanup);
  }
}

async function start(config: LbdConfig, options: DaemonOptions, cleanup: Cleanup): Promise<Daemon> {
  const { log, onFailure } = options;
  const clock = monotonicClock();
  const begun = clock();

  // Memory, then ports (their rings and frames live in it), then the graph (its nodes know the ports).
  const arena = Arena.create(config.memory);
  const { memory } = arena;
  if (config.interfaces.some(({ driver }) => driver !== 'pcap')) await useHugePages(memory.u8);
  const epochs = new Epochs(arena, config.workers);
  const sizes = { workers: config.workers, buffersPerWorker: config.buffers };
  const buffers = allocateBuffers(arena, sizes);
  const named = { drivers: [...new Set(config.interfaces.map(({ driver }) => driver))], plugins: config.plugins };
  await probePlugins(config);
  const parts = await loadParts(named);
  const told = await configuredOptions(parts.encaps, config);
  const pool = { frames: buffers.frames, count: config.workers * config.buffers, perWorker: config.buffers };
  const ports = await openPorts(config, parts.drivers, arena, pool, cleanup);

  const tables = new IpTables(arena, epochs);
  const lb = allocateLb(arena, { workers: config.workers, maxServers: serversFor(roomForTables(config)) });
  const fib = { fib4: tables.fib4.address, fib6: tables.fib6.address };
  const encapStates = parts.encaps.map((encap, i) => encap.allocate?.(arena, told[i], fib));
  const plan: GraphPlan = { ...named, ports: ports.infos, tables: tables.addresses, lb, encapStates };
  const graph = buildGraph(plan, parts).link();
  const layout = allocateGraph(arena, graph, sizes, buffers);
  const features = new FeatureTable(memory, graph, layout);
  const interfaces = new Interfaces(memory, layout, features, ports.infos, plan.drivers);

  // What the kernel, or the configuration, says of links, addresses, routes and neighbours.
  let world: World | undefined;
  const wantedEarly: [number, string][] = [];
  const routes = new RouteTable(tables, {
    onResolve: (index, address) => {
      if (world) world.resolve(index, address);
      else wantedEarly.push([index, address]);
    },
    interfaceName: (index) => interfaces.nameOf(index),
  });
  const fault = (error: unknown) => log.error({ err: error }, 'a fault, lbd goes on');
  const locals = new LocalAddresses(ports.steering, fault);
  const sink = new WorldSink(ports.infos, interfaces, routes, locals, fault, (name, state) => {
    if (state === 'up') log.info({ interface: name }, 'the interface is up');
    else if (state === 'down') log.warn({ interface: name }, 'the interface is down');
    else log.error({ interface: name }, 'the interface is gone; should it come again, lbd must be started again');
  });
  new StaticWorld(config.static, ports.infos, sink);
  if (ports.infos.some(({ ifindex }) => ifindex !== 0)) {
    world = await KernelWorld.start(ports.infos, sink, fault);
    cleanup.add(() => world?.close());
    // Gateways of routes that were there before us.
    for (const [index, address] of wantedEarly) world.resolve(index, address);
  }

  // Workers, held until the configuration is complete.
  const traces = new Traces(begun);
  const team = await startWorkers({
    arena,
    epochs,
    plan,
    layout,
    modules: await compileKernels(graph),
    count: config.workers,
    sleepOnFiles: ports.infos.some(({ ifindex }) => ifindex !== 0),
    cleanup,
    events: {
      onTraces: (some) => traces.add(some),
      onNodeFailure: ({ node, why, disabled }, worker) => {
        const what = disabled
          ? 'a node trapped again and again and is disabled: its packets are dropped'
          : 'a node trapped';
        log.error({ node, worker, reason: why }, `${what}, lbd goes on`);
      },
      onPost: (message) => {
        const { type, interface: index, address } = message as { type?: string; interface: number; address: string };
        if (type === 'resolve') world?.resolve(index, address);
      },
      onFailure,
    },
  });

  const host = lbHost({ arena, epochs, graph, routes, steering: ports.steering, onWorkers: (task) => team.task(task) });
  const controls = new Map(
    parts.encaps.flatMap((encap, i) => {
      const encapHost = { arena, epochs, lb, now: host.now };
      return encap.control ? [[encap.name, encap.control(encapHost, encapStates[i])] as const] : [];
    }),
  );
  const balancer = new LoadBalancer(host, lb, parts.encaps, controls);
  const view = new GraphView(memory, graph, layout, team.workers);
  const dataplane: DataplaneModel = {
    version: () => ({
      version,
      node: process.version,
      workers: config.workers,
      uptime: (clock() - begun) / 1000,
    }),
    runtime: () => view.runtime(),
    clearRuntime: () => view.clearRuntime(),
    errors: () => view.errors(),
    clearErrors: () => view.clearErrors(),
    interfaces: () => interfaces.states(),
    nodes: () => view.nodes(),
    routes: (family) => routes.entries(family).map(({ prefix, paths }) => ({ prefix, paths })),
    memory: () => ({ bytes: arena.bytes, remaining: arena.remaining, allocations: arena.allocations() }),
    traceAdd: (count) => team.trace(count),
    trace: () => traces.list(),
    clearTrace: () => traces.clear(),
  };
  // Before the workers begin no packet can be lost, and nobody should have to wait.
  let began = false;
  const prepare = async (addresses: readonly string[]) => {
    if (began && world) await neighboursKnown(routes, tables.adjacencies, addresses);
  };
  const lbd: Lbd = {
    lb: lbModel({ balancer, ...parts, told, interfaces, steering: ports.steering, prepare }),
    dataplane,
  };

  await configure(lbd, config);
  if (options.control ?? true) {
    const control = await serve(lbd, config, view, log, fault);
    cleanup.add(() => control.close());
  }
  const ticker = setInterval(() => {
    world?.tick();
    balancer.sweep().catch(fault);
  }, TICK_MS);
  cleanup.add(() => clearInterval(ticker));
  team.go();
  began = true;
  log.info(
    { interfaces: ports.infos.map(({ name, driver, mode }) => `${name} (${driver} ${mode})`), workers: config.workers },
    'lbd runs',
  );
  return Daemon.make(lbd, team.finished, cleanup);
}

/** Large tables cost fewer TLB misses so. A kernel without transparent huge pages says nothing, and nothing changes. */
async function useHugePages(bytes: Uint8Array<SharedArrayBuffer>): Promise<void> {
  const { adviseHugePages } = await import('@lbd/native');
  adviseHugePages(bytes);
}

/** Application servers that there is room for: their records take a fourteenth of it, if it is small. */
function serversFor(room: number): number {
  return Math.min(1 << 20, 2 ** Math.floor(Math.log2(room / 900)));
}

function serve(
  lbd: Lbd,
  config: LbdConfig,
  view: GraphView,
  log: Log,
  onFault: (error: unknown) => void,
): Promise<ControlServer> {
  const metrics = metricsPage({ lbd, counters: () => view.counters(), pauses: () => view.pauses() });
  return serveControl(lbd, {
    socket: config.control.socket,
    version,
    onFault,
    onCommand: (command) => log.info({ command }, 'command'),
    ...(config.metrics.enabled ? { metrics } : {}),
  });
}
