import { createHttpClient } from '../pipeline/net/client.ts';
import { downloadFile } from '../pipeline/net/download-file.ts';

/* One download, for fetch-throughput.ts: node bench/fetch-one.ts URL PATH CONNECTIONS. */

const [url, path, connections] = process.argv.slice(2) as [string, string, string];
const client = createHttpClient({ environment: {} });
await downloadFile(
  {
    identity: url,
    description: url,
    shape: 'zip',
    maxConnections: 8,
    open: ({ headers, signal }) => client.request({ url, headers, signal, allowHttp: true }),
  },
  { path, connections: Number(connections), signal: new AbortController().signal },
);
client.close();
