import type { ListenerConfig } from './config.ts';
import type { Listener, ListenerDeps } from './listener.ts';
import { TcpListener } from './tcp.ts';
import { TlsListener } from './tls.ts';
import { UnixListener } from './unix.ts';
import { WebSocketListener } from './websocket.ts';

/** Builds a listener of its kind; it opens when it is started. */
export function createListener(config: ListenerConfig, deps: ListenerDeps): Listener {
  switch (config.type) {
    case 'tcp':
      return new TcpListener(config, deps);
    case 'tls':
      return new TlsListener(config, deps);
    case 'unix':
      return new UnixListener(config, deps);
    case 'websocket':
      return new WebSocketListener(config, deps);
    default:
      return config satisfies never;
  }
}
