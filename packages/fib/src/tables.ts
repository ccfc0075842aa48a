import type { Arena } from '@lbd/memory';
import { Adjacencies } from './adjacencies.ts';
import { Fib4 } from './fib4.ts';
import { Fib6, type Fib6Options } from './fib6.ts';
import { LoadBalances } from './load-balances.ts';
import { type Quiescence, Reclaimer } from './reclaimer.ts';

/** Where the tables are. Plain data: sent to the workers, for their nodes. */
export interface TableAddresses {
  readonly fib4: number;
  readonly fib6: number;
  readonly adjacencies: number;
  readonly loadBalances: number;
}

/** The forwarding tables of one graph. */
export class IpTables {
  readonly reclaimer: Reclaimer;
  readonly fib4: Fib4;
  readonly fib6: Fib6;
  readonly adjacencies: Adjacencies;
  readonly loadBalances: LoadBalances;

  /**
   * @param epochs of the workers that read the tables; without, what is unpublished is freed at once
   * @throws OutOfMemoryError
   */
  constructor(arena: Arena, epochs?: Quiescence, options: { readonly fib6?: Fib6Options } = {}) {
    this.reclaimer = new Reclaimer(epochs);
    this.fib4 = new Fib4(arena, this.reclaimer);
    this.fib6 = new Fib6(arena, this.reclaimer, options.fib6);
    this.adjacencies = new Adjacencies(arena, this.reclaimer);
    this.loadBalances = new LoadBalances(arena, this.reclaimer);
  }

  get addresses(): TableAddresses {
    return {
      fib4: this.fib4.address,
      fib6: this.fib6.address,
      adjacencies: this.adjacencies.address,
      loadBalances: this.loadBalances.address,
    };
  }
}
