import { z } from 'zod';

/** Idle seconds after which a session is over. */
export interface NatTimeouts {
  /** UDP. RFC 4787 (REQ-5) asks for two minutes at least. */
  readonly udp: number;
  /** TCP of which no reply was seen. RFC 5382 (REQ-5): four minutes at least. */
  readonly tcpTransitory: number;
  /** TCP under way. RFC 5382 (REQ-5): two hours and four minutes at least. */
  readonly tcpEstablished: number;
  /** TCP whose end was seen: long enough for the last acknowledgements and retransmissions. */
  readonly tcpClosed: number;
}

export const DEFAULT_TIMEOUTS: NatTimeouts = { udp: 300, tcpTransitory: 240, tcpEstablished: 7440, tcpClosed: 60 };
/** Address space only: a session takes RAM (see the README) when it is used. */
export const DEFAULT_SESSIONS = 1 << 20;

/** Session indices have 24 bits; so may timeouts. */
const MAX = 1 << 24;
const seconds = (name: keyof NatTimeouts, what: string) =>
  z.int().min(1).max(MAX).default(DEFAULT_TIMEOUTS[name]).describe(`Idle seconds of ${what}.`);

/** What the configuration may say of nat4 and nat6. */
export const natOptions = z.strictObject({
  sessions: z.int().min(1).max(MAX).default(DEFAULT_SESSIONS).describe('Sessions there can be at a time.'),
  timeouts: z
    .strictObject({
      udp: seconds('udp', 'UDP'),
      tcpTransitory: seconds('tcpTransitory', 'TCP of which no reply was seen'),
      tcpEstablished: seconds('tcpEstablished', 'TCP under way'),
      tcpClosed: seconds('tcpClosed', 'TCP whose end was seen'),
    })
    .prefault({})
    .describe('After how much idle time sessions end.'),
});

/** Before the defaults are filled in. */
export type NatOptions = z.input<typeof natOptions>;
