import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHttpClient } from '../pipeline/net/client.ts';
import { downloadFile } from '../pipeline/net/download-file.ts';
import { MirrorFault } from '../pipeline/net/mirror-fault.ts';
import { seededRandom } from '../pipeline/rows/synthetic-row.ts';
import { FAST_RETRY, makeZipLike } from '../test/helpers/downloads.ts';
import { startFileServer } from '../test/helpers/file-server.ts';
import type { ServerFault } from '../test/helpers/file-server.ts';

/*
 * N downloads from a server that goes wrong at random: npm run bench -- fetch-soak [N] [seed]. Each must end as the right file, byte for byte,
 * or as an error of the mirror with nothing under the file's name. The same seed makes the same faults.
 */

const count = Number(process.argv[2] ?? 1000);
const seed = Number(process.argv[3] ?? 1);
const random = seededRandom(seed);
const below = (limit: number): number => Math.floor(random() * limit);

const PAGE = '<!DOCTYPE html><html><title>Maintenance</title></html>';

/** Faults weighted towards those that a good client outlives. */
function drawFault(size: number): ServerFault {
  const draw = below(30);
  if (draw < 8) return { kind: 'cut', bytes: below(size) };
  if (draw === 8) return { kind: 'stall', bytes: below(size) };
  if (draw === 9) return { kind: 'reset' };
  if (draw === 10) return { kind: 'status', status: [429, 500, 502, 503, 504][below(5)]! };
  if (draw === 11) return { kind: 'ignore-range' };
  if (draw === 12) return { kind: 'wrong-start', by: below(9) - 4 };
  if (draw === 13) return { kind: 'wrong-total' };
  if (draw === 14) return { kind: 'extra-bytes' };
  if (draw === 15) return { kind: 'chunked' };
  if (draw === 16) return { kind: 'no-length' };
  if (draw === 17) return { kind: 'short-without-length', bytes: below(size) };
  if (draw === 18) return { kind: 'page', type: 'text/html', page: PAGE };
  if (draw === 19) return { kind: 'page-as-file', page: PAGE };
  if (draw === 20) return { kind: 'status', status: 416 };
  if (draw === 21) return { kind: 'gzip' };
  return { kind: 'none' };
}

interface Tally {
  right: number;
  refused: number;
  wrong: number;
  requests: number;
  faults: number;
  reasons: Record<string, number>;
}

const tally: Tally = { right: 0, refused: 0, wrong: 0, requests: 0, faults: 0, reasons: {} };
const folder = await mkdtemp(join(tmpdir(), 'lxmert-soak-'));
const client = createHttpClient({ environment: {}, responseMs: 2000 });
const began = performance.now();
try {
  for (let number = 0; number < count; number++) await downloadOnce(number);
} finally {
  client.close();
  await rm(folder, { recursive: true, force: true });
}

const seconds = ((performance.now() - began) / 1000).toFixed(0);
process.stdout.write(
  `${JSON.stringify({ downloads: count, seed, seconds: Number(seconds), ...tally }, null, 2)}\n`,
);
if (tally.wrong > 0) process.exitCode = 1;

async function downloadOnce(number: number): Promise<void> {
  const connections = [1, 1, 2, 4][below(4)]!;
  // More than one segment of 16 MiB where several connections are to be used.
  const size = connections > 1 && below(4) === 0 ? (33 << 20) + below(1 << 20) : 1 + below(1 << 20);
  const versions = [makeZipLike(size, number * 2 + 1), makeZipLike(size + below(3), number * 2 + 2)];
  const validator = below(4);
  const changesAt = below(5) === 0 ? 1 + below(4) : Infinity;
  let requests = 0;
  const server = await startFileServer(
    () => {
      const version = requests >= changesAt ? 1 : 0;
      const etag = validator === 0 ? null : `${validator === 1 ? 'W/' : ''}"${version}"`;
      const lastModified = validator === 0 ? null : `Mon, 19 Aug 2019 10:00:0${version} GMT`;
      return { bytes: versions[version]!, etag, lastModified };
    },
    () => {
      requests++;
      const fault = drawFault(size);
      if (fault.kind !== 'none') tally.faults++;
      return fault;
    },
  );
  const path = join(folder, `${number}.zip`);
  const sizeKnown = below(3) === 0 && changesAt === Infinity;
  try {
    // Some downloads are given up halfway and begun again, as by a killed process.
    for (let run = 0; run < 3; run++) {
      const abort = new AbortController();
      const giveUpAt = run < 2 && below(3) === 0 ? below(size) : Infinity;
      try {
        const result = await downloadFile(
          {
            identity: String(number),
            description: server.url,
            shape: 'zip',
            maxConnections: 8,
            sizeBytes: sizeKnown ? versions[0]!.length : undefined,
            open: ({ headers, signal }) =>
              client.request({ url: `${server.url}a.zip`, headers, signal, allowHttp: true }),
          },
          {
            path,
            connections,
            signal: abort.signal,
            retry: FAST_RETRY,
            watchdog: { idleMs: 150, minBytes: 100 },
            onProgress: done => {
              if (done > giveUpAt) abort.abort(new Error('given up'));
            },
          },
        );
        await judge(path, versions, result.sha256);
        return;
      } catch (error) {
        if (abort.signal.aborted) continue;
        if (!(error instanceof MirrorFault)) throw error;
        tally.reasons[error.kind] = (tally.reasons[error.kind] ?? 0) + 1;
        if (
          await readFile(path).then(
            () => true,
            () => false,
          )
        ) {
          tally.wrong++;
          process.stderr.write(`download ${number}: a file in place after ${error.message}\n`);
          return;
        }
        if (run === 2) tally.refused++;
      }
    }
  } finally {
    tally.requests += server.requests.length;
    await server.close();
  }
}

async function judge(path: string, versions: readonly Buffer[], sha256: string): Promise<void> {
  const bytes = await readFile(path);
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (versions.some(version => version.equals(bytes)) && digest === sha256) tally.right++;
  else {
    tally.wrong++;
    process.stderr.write(`${path}: ${bytes.length} bytes are neither version of the file\n`);
  }
  await rm(path);
}
