/**
 * Compares the embedded detector with Caffe's own output, stage by stage, and prints the table of docs/parity.md.
 *
 *   npm run bench -- parity           # all images
 *   npm run bench -- parity 000456    # some of them
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertModel } from '../pipeline/detector/model/convert-model.ts';
import { FORMULA_WEIGHTS } from '../pipeline/detector/model/formula-weights.ts';
import { hasOracle, listOracleImages, ORACLE } from '../test/helpers/oracle.ts';
import type { Comparison } from './compare-oracle.ts';
import { compareWithOracle, openTappedSession } from './compare-oracle.ts';

const names = process.argv.slice(2);
if (!hasOracle) throw new Error(`the reference values are not at ${ORACLE}`);

const folder = await mkdtemp(join(tmpdir(), 'parity-'));
try {
  const session = await openTappedSession(await convertModel(FORMULA_WEIGHTS, folder));
  const columns = new Map<string, Comparison[]>();
  for (const image of listOracleImages()) {
    if (names.length > 0 && !names.includes(image.name)) continue;
    columns.set(image.name, await compareWithOracle(session, image));
  }
  await session.close();
  process.stdout.write(formatTable(columns));
  if ([...columns.values()].flat().some(({ passed }) => !passed)) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}

function formatTable(columns: ReadonlyMap<string, readonly Comparison[]>): string {
  const stages = [...columns.values()][0]!.map(({ what }) => what.replace(/ \(\d+\)/, ''));
  const cell = ({ what, got, passed }: Comparison): string => {
    const count = /\((\d+)\)/.exec(what)?.[1];
    return `${count === undefined ? got : `${count}: ${got}`}${passed ? '' : ' **too much**'}`;
  };
  const lines = stages.map((stage, index) => {
    const cells = [...columns.values()].map(column => cell(column[index]!));
    return `| ${[stage, [...columns.values()][0]![index]!.allowed, ...cells].join(' | ')} |`;
  });
  const head = ['largest difference', 'allowed', ...columns.keys()];
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines, ''].join('\n');
}
