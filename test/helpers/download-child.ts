import { createHttpClient } from '../../pipeline/net/client.ts';
import { downloadFile } from '../../pipeline/net/download-file.ts';

// Downloads argv[2] to argv[3] with argv[4] connections and tells its parent how far it is, to be killed by it.
const [url, path, connections] = process.argv.slice(2) as [string, string, string];
const client = createHttpClient({ environment: {} });
await downloadFile(
  {
    identity: `test ${new URL(url).pathname}`,
    description: url,
    shape: 'zip',
    maxConnections: 8,
    open: ({ headers, signal }) => client.request({ url, headers, signal, allowHttp: true }),
  },
  {
    path,
    connections: Number(connections),
    signal: new AbortController().signal,
    onProgress: done => process.send?.(done),
  },
);
client.close();
process.disconnect?.();
