import type { RouteState } from '../model.ts';

export function formatRoutes(routes: readonly RouteState[]): string {
  return routes.map(({ prefix, paths }) => [prefix, ...paths.map((path) => `  ${path}`)].join('\n')).join('\n');
}
