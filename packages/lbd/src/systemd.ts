import { spawnSync } from 'node:child_process';

/**
 * Tells systemd how the service is doing, if it asked to be told (sd_notify(3)). Node.js has no datagram Unix sockets, so
 * this goes through systemd's own program; the unit needs NotifyAccess=all.
 */
export function notify(state: string): void {
  if (!process.env.NOTIFY_SOCKET) return;
  const { error, status } = spawnSync('systemd-notify', [state], { stdio: 'ignore' });
  // systemd would wait for it in vain, and end the service.
  if (error || status !== 0) {
    process.emitWarning(`systemd-notify ${state}: ${error?.message ?? `exit code ${status}`}: systemd does not know`);
  }
}
