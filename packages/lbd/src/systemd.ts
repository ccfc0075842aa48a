import { spawnSync } from 'node:child_process';

/**
 * Tells systemd how the service is doing, if it asked to be told (sd_notify(3)). Node.js has no datagram Unix sockets, so
 * this goes through systemd's own program; the unit needs NotifyAccess=all.
 */
export function notify(state: string): void {
  if (!process.env.NOTIFY_SOCKET) return;
  spawnSync('systemd-notify', [state], { stdio: 'ignore' });
}
