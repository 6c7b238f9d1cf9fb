import { once } from 'node:events';
import { createServer } from 'node:net';

/** Ports that were free a moment ago. */
export async function findPorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  return await Promise.all(
    servers.map(async server => {
      await once(server, 'listening');
      const address = server.address();
      server.close();
      await once(server, 'close');
      return typeof address === 'object' ? (address?.port ?? 0) : 0;
    }),
  );
}
