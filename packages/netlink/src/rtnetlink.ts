import { NetlinkSocket } from '@lbd/native';
import { type Address, parseAddress } from './address.ts';
import { type Change, parseChange } from './change.ts';
import * as C from './constants.ts';
import { type Link, parseLink } from './link.ts';
import { type Bytes, buildMessage, type Message, parseError, parseMessages, type Request } from './message.ts';
import { type Neighbour, parseNeighbour, useNeighbour } from './neighbour.ts';
import { NetlinkError } from './netlink-error.ts';
import { type NexthopObject, parseNexthop } from './nexthop.ts';
import { parseRoute, type Route, withObject } from './route.ts';

/** Larger than any datagram that the kernel makes for a reader with room (32 KiB, or one message). */
const ROOM = 1 << 18;

/** How often a list is made anew that changes interrupted. */
const MOST_TRIES = 10;

/** Receive buffer of the socket that follows changes, bytes: a few ten thousand messages. */
const EVENTS_BUFFER = 8 << 20;

const GROUPS = [
  C.RTNLGRP_LINK,
  C.RTNLGRP_NEIGH,
  C.RTNLGRP_IPV4_IFADDR,
  C.RTNLGRP_IPV6_IFADDR,
  C.RTNLGRP_IPV4_ROUTE,
  C.RTNLGRP_IPV6_ROUTE,
  C.RTNLGRP_NEXTHOP,
];

interface Pending {
  readonly what: string;
  readonly sequence: number;
  readonly messages: Message[];
  interrupted: boolean;
  resolve(result: { messages: Message[]; interrupted: boolean }): void;
  reject(error: Error): void;
}

/** What a follower of the kernel's changes is told. */
export interface Follower {
  /** One change, in the kernel's order. */
  change(change: Change): void;
  /** The kernel had more to tell than there was room for: some changes are lost. List anew what matters. */
  overrun(): void;
}

/**
 * The kernel's links, addresses, routes and neighbours, in the network namespace of the process. Listing needs no
 * privilege. Nothing is polled: both sockets are watched by the event loop.
 */
export class RtNetlink {
  readonly #requests: NetlinkSocket;
  readonly #room = new Uint8Array(ROOM);
  #events: NetlinkSocket | undefined;
  #pending: Pending | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #sequence = 0;
  #closed = false;

  private constructor() {
    this.#requests = new NetlinkSocket();
    this.#requests.watch(() => this.#readAnswers(), false);
  }

  static open(): RtNetlink {
    return new RtNetlink();
  }

  /** Interfaces, by index. */
  async links(): Promise<Link[]> {
    return this.#list('list links', C.RTM_GETLINK, C.IFINFOMSG_BYTES, C.AF_UNSPEC, parseLink);
  }

  /** Addresses of interfaces, both families. */
  async addresses(): Promise<Address[]> {
    return this.#list('list addresses', C.RTM_GETADDR, C.IFADDRMSG_BYTES, C.AF_UNSPEC, parseAddress);
  }

  /** Routes of the main and the local table; of one family if told. */
  async routes(family?: 4 | 6): Promise<Route[]> {
    const routes = await this.#list('list routes', C.RTM_GETROUTE, C.RTMSG_BYTES, familyNumber(family), parseRoute);
    if (!routes.some(({ nexthopId, nexthops }) => nexthopId !== 0 && nexthops.length === 0)) return routes;
    const objects = new Map((await this.nexthops()).map((object) => [object.id, object]));
    return routes.map((route) => withObject(route, objects));
  }

  /** Neighbours (ARP and neighbour discovery), in whatever state. */
  async neighbours(): Promise<Neighbour[]> {
    return this.#list('list neighbours', C.RTM_GETNEIGH, C.NDMSG_BYTES, C.AF_UNSPEC, parseNeighbour);
  }

  /** Nexthop objects. */
  async nexthops(): Promise<NexthopObject[]> {
    return this.#list('list nexthops', C.RTM_GETNEXTHOP, C.NHMSG_BYTES, C.AF_UNSPEC, parseNexthop);
  }

  /**
   * Asks the kernel to resolve a neighbour, or to probe one that is stale, as if it had a packet to send there. Its
   * answer comes as changes of the neighbour: `reachable`, or `failed` after about three seconds.
   * @throws NetlinkError with errno EPERM without CAP_NET_ADMIN, ENODEV if there is no such interface
   */
  async resolve(ifindex: number, address: string): Promise<void> {
    const request = useNeighbour(ifindex, address);
    await this.#request(`resolve ${address} on interface ${ifindex}`, request);
  }

  /**
   * Tells of changes from now on; of those within the other namespaces nothing. One follower at a time. List after this
   * call, and no change is missed; some may be told that the list has already.
   * @param keepAlive whether following keeps the process from ending
   */
  follow(follower: Follower, keepAlive = false): void {
    if (this.#events) throw new Error('rtnetlink: one follower at a time');
    const events = new NetlinkSocket({ groups: GROUPS, receiveBuffer: EVENTS_BUFFER });
    this.#events = events;
    events.watch(() => this.#readEvents(events, follower), keepAlive);
  }

  /** Ends following; requests under way are rejected. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#requests.close();
    this.#events?.close();
    this.#settle()?.reject(new NetlinkError('LBD_NETLINK_CLOSED', 'rtnetlink was closed before the answer came'));
  }

  async #list<T>(
    what: string,
    type: number,
    fixedBytes: number,
    family: number,
    parse: (body: Bytes) => T | undefined,
  ): Promise<T[]> {
    const fixed = new Uint8Array(fixedBytes);
    fixed[0] = family;
    for (let tries = 1; ; tries++) {
      const { messages, interrupted } = await this.#request(what, { type, flags: C.NLM_F_DUMP, fixed });
      // Something changed meanwhile, and may be listed twice or not at all: once more. Where changes never end, a follower
      // puts the last list right.
      if (interrupted && tries < MOST_TRIES) continue;
      return messages.flatMap(({ body }) => parse(body) ?? []);
    }
  }

  /** One request at a time: the kernel lists one thing at a time to a socket. */
  #request(what: string, request: Request): Promise<{ messages: Message[]; interrupted: boolean }> {
    const run = () =>
      new Promise<{ messages: Message[]; interrupted: boolean }>((resolve, reject) => {
        if (this.#closed) throw new NetlinkError('LBD_NETLINK_CLOSED', `${what}: rtnetlink is closed`);
        const sequence = ++this.#sequence;
        this.#pending = { what, sequence, messages: [], interrupted: false, resolve, reject };
        // An answer must not let the process end before it is there.
        this.#requests.watch(() => this.#readAnswers(), true);
        try {
          this.#requests.send(buildMessage(request, sequence));
        } catch (error) {
          this.#settle()?.reject(error as Error);
        }
      });
    const answer = this.#queue.then(run);
    this.#queue = answer.catch(() => {});
    return answer;
  }

  #readAnswers(): void {
    try {
      while (!this.#closed) {
        const size = this.#requests.receive(this.#room);
        if (size === undefined) return;
        if (size === 'overrun' || size > this.#room.length) {
          this.#settle()?.reject(new NetlinkError('LBD_NETLINK_MALFORMED', 'netlink: an answer had no room'));
          continue;
        }
        // What is kept of a message must outlive the room.
        for (const message of parseMessages(this.#room.slice(0, size))) this.#answer(message);
      }
    } catch (error) {
      this.#settle()?.reject(error as Error);
    }
  }

  #answer(message: Message): void {
    const pending = this.#pending;
    if (!pending || message.sequence !== pending.sequence) return;
    if ((message.flags & C.NLM_F_DUMP_INTR) !== 0) pending.interrupted = true;
    if (message.type === C.NLMSG_ERROR || message.type === C.NLMSG_DONE) {
      // The result of a list is the body of its end.
      const failed = message.body.length >= 4 ? parseError(message, pending.what) : undefined;
      this.#settle();
      if (failed) pending.reject(failed);
      else pending.resolve(pending);
      return;
    }
    pending.messages.push(message);
  }

  #settle(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending && !this.#closed) this.#requests.watch(() => this.#readAnswers(), false);
    return pending;
  }

  #readEvents(events: NetlinkSocket, follower: Follower): void {
    while (!this.#closed) {
      const size = events.receive(this.#room);
      if (size === undefined) return;
      if (size === 'overrun' || size > this.#room.length) {
        follower.overrun();
        continue;
      }
      for (const message of parseMessages(this.#room.slice(0, size))) {
        const change = parseChange(message);
        if (change) follower.change(change);
      }
    }
  }
}

function familyNumber(family: 4 | 6 | undefined): number {
  if (family === undefined) return C.AF_UNSPEC;
  return family === 4 ? C.AF_INET : C.AF_INET6;
}
