import { ControlError } from '../errors.ts';
import type { DataplaneModel } from '../model.ts';
import { formatErrors } from '../show/errors.ts';
import { formatInterfaces } from '../show/interface.ts';
import { formatMemory } from '../show/memory.ts';
import { formatNodes } from '../show/node.ts';
import { formatRoutes } from '../show/routes.ts';
import { formatRuntime } from '../show/runtime.ts';
import { formatTrace } from '../show/trace.ts';
import { formatVersion } from '../show/version.ts';
import { operations } from '../values/operations.ts';
import { type Command, change, display } from './command.ts';
import { parseOptions } from './options.ts';
import { syntax, toNumber } from './words.ts';

function plain<T>(
  words: string,
  help: string,
  get: (dataplane: DataplaneModel) => T | Promise<T>,
  format: (data: T) => string,
): Command {
  return {
    words,
    syntax: '',
    help,
    parse: (rest) => {
      parseOptions(rest, {}, 0);
      return display(({ dataplane }) => get(dataplane), format);
    },
  };
}

function clear(words: string, help: string, action: (dataplane: DataplaneModel) => unknown): Command {
  return {
    words,
    syntax: '',
    help,
    parse: (rest) => {
      parseOptions(rest, {}, 0);
      return change(({ dataplane }) => action(dataplane));
    },
  };
}

/** Commands to look at the packet graph. */
export const graphCommands: readonly Command[] = [
  plain('show runtime', 'show calls, packets and time of each node', (d) => d.runtime(), formatRuntime),
  {
    words: 'show errors',
    syntax: '[verbose]',
    help: 'show the counters of the nodes, why packets were dropped or punted; verbose: those that are 0 too',
    parse: (rest) => {
      const verbose = parseOptions(rest, { verbose: 'flag' }, 0).flags.has('verbose');
      return display(
        async ({ dataplane }) => (await dataplane.errors()).filter(({ count }) => verbose || count > 0),
        formatErrors,
      );
    },
  },
  plain('show interface', 'show the interfaces and their counters', (d) => d.interfaces(), formatInterfaces),
  {
    words: 'show node',
    syntax: '[<name>]',
    help: 'show the nodes of the graph, or one with its next nodes and counters',
    parse: ([name, ...rest]) => {
      if (rest.length > 0) throw syntax(`unknown word "${rest[0]}": one name of a node is allowed`);
      return display(
        async ({ dataplane }) => {
          const nodes = await dataplane.nodes();
          if (name === undefined) return nodes;
          const found = nodes.filter((node) => node.name === name);
          if (found.length > 0) return found;
          throw new ControlError('LBD_NO_SUCH_NODE', `there is no node "${name}": "show node" lists them`);
        },
        (nodes) => formatNodes(nodes, name !== undefined),
      );
    },
  },
  plain('show ip fib', 'show the IPv4 routes', (d) => d.routes(4), formatRoutes),
  plain('show ip6 fib', 'show the IPv6 routes', (d) => d.routes(6), formatRoutes),
  plain('show memory', 'show what the linear memory is used for', (d) => d.memory(), formatMemory),
  plain('show version', 'show the version and how long lbd runs', (d) => d.version(), formatVersion),
  {
    words: 'trace add',
    syntax: '<n>',
    help: 'trace the next packets that come in (each worker: n), 1 to 1000',
    parse: ([count, ...rest]) => {
      if (rest.length > 0) throw syntax(`unknown word "${rest[0]}": one number is allowed`);
      const n = operations.traceCount(toNumber('trace add', count));
      return change(({ dataplane }) => dataplane.traceAdd(n));
    },
  },
  plain('show trace', 'show the way of the traced packets, node by node', (d) => d.trace(), formatTrace),
  clear('clear trace', 'forget the traced packets', (d) => d.clearTrace()),
  clear('clear runtime', 'start the figures of show runtime at 0 again', (d) => d.clearRuntime()),
  clear('clear errors', 'start the figures of show errors at 0 again', (d) => d.clearErrors()),
];
