import { isKernel, type NodeDeclaration } from '@lbd/graph';
import type { Encap } from '@lbd/lb';

/** Every field of a node. */
const FIELDS: Readonly<Record<keyof NodeDeclaration, true>> = {
  name: true,
  kind: true,
  next: true,
  fanOut: true,
  watches: true,
  standsFor: true,
  counters: true,
  dataBytes: true,
  init: true,
  process: true,
  trace: true,
};
const MAX_DATA = 1 << 20;

/**
 * Checks what an encap declares as its nodes, as far as that shows without a graph.
 * @throws TypeError that names the encap, the node and the field
 */
export function checkDeclarations(encap: Encap, declared: unknown): asserts declared is readonly NodeDeclaration[] {
  const who = `encap ${encap.name}: `;
  if (!Array.isArray(declared))
    throw new TypeError(`${who}nodes() returns ${typeof declared}: must be a list of nodes`);
  for (const node of declared as unknown[]) checkNode(who, node);
  const nodes = declared as readonly NodeDeclaration[];
  const own = nodes.find(({ name }) => name === encap.name);
  if (!own) throw new TypeError(`${who}nodes() has no node ${encap.name}: the one that rewrites has the encap's name`);
  if (own.fanOut !== 'dpo') {
    throw new TypeError(`${who}node ${encap.name}: fanOut ${own.fanOut}: must be dpo, where servers' DPOs lead`);
  }
  const express = encap.express === undefined ? [] : [{ field: 'express', node: encap.express }];
  const features = (encap.features ?? []).map(({ node }) => ({ field: 'features', node }));
  const shortcuts = (encap.shortcuts ?? []).map(({ node }) => ({ field: 'shortcuts', node }));
  for (const { field, node } of [...express, ...features, ...shortcuts]) {
    if (nodes.some(({ name }) => name === node)) continue;
    throw new TypeError(
      `${who}${field}: node ${node} is not one of its own: ${nodes.map(({ name }) => name).join(', ')}`,
    );
  }
}

function checkNode(who: string, value: unknown): void {
  const node = (value ?? {}) as Record<string, unknown>;
  const name = typeof node.name === 'string' ? node.name : '(without a name)';
  const refuse = (field: string, allowed: string): never => {
    throw new TypeError(`${who}node ${name}: ${field} must be ${allowed}`);
  };
  if (typeof node.name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(node.name)) refuse('name', 'in kebab case');
  for (const field of Object.keys(node))
    if (!(field in FIELDS)) refuse(field, `one of ${Object.keys(FIELDS).join(', ')}`);
  // Inputs and outputs own buffers: one that fails would end lbd.
  if (node.kind !== undefined && node.kind !== 'internal') refuse('kind', 'internal');
  const { next = [], standsFor = [], counters = {}, dataBytes = 0, fanOut, watches, init, trace } = node;
  for (const [field, names] of Object.entries({ next, standsFor })) {
    if (!Array.isArray(names) || !names.every((to) => typeof to === 'string')) refuse(field, 'a list of names');
  }
  if (new Set(next as string[]).size < (next as string[]).length) refuse('next', 'a list without a name twice');
  if (fanOut !== undefined && typeof fanOut !== 'string') refuse('fanOut', 'the name of a fan-out');
  if (watches !== undefined && typeof watches !== 'string') refuse('watches', 'the name of a feature arc');
  const meanings = typeof counters === 'object' && counters !== null ? Object.values(counters) : [undefined];
  if (!meanings.every((meaning) => typeof meaning === 'string')) refuse('counters', 'names, each with what it means');
  if (!Number.isInteger(dataBytes) || (dataBytes as number) < 0 || (dataBytes as number) > MAX_DATA) {
    refuse('dataBytes', `0 to ${MAX_DATA}`);
  }
  if (init !== undefined && typeof init !== 'function') refuse('init', 'a function');
  if (trace !== undefined && typeof trace !== 'function') refuse('trace', 'a function');
  checkProcess(node.process, refuse);
}

function checkProcess(process: unknown, refuse: (field: string, allowed: string) => never): void {
  if (typeof process === 'function') {
    // Nobody would wait for what it promises.
    if (process.constructor.name === 'AsyncFunction') refuse('process', 'a function that is not async');
    return;
  }
  const { module, export: name } = (process ?? {}) as { module?: unknown; export?: unknown };
  if (!(module instanceof URL) || module.protocol !== 'file:' || typeof name !== 'string') {
    refuse('process', 'a function, or a kernel: { module: <URL of a file>, export: <name> }');
  }
}

/** The kernel modules that nodes name, each once. */
export function modulesOf(nodes: readonly NodeDeclaration[]): URL[] {
  const modules = nodes.flatMap(({ process }) => (isKernel(process) ? [process.module] : []));
  return [...new Map(modules.map((module) => [module.href, module])).values()];
}
