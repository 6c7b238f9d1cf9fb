import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { scaleRegions } from '../../../pipeline/detector/regions/choose-boxes.ts';
import { convertModel } from '../../../pipeline/detector/model/convert-model.ts';
import { decodeImage } from '../../../pipeline/detector/image/decode-image.ts';
import { DetectorSession } from '../../../pipeline/detector/session.ts';
import { FORMULA_WEIGHTS } from '../../../pipeline/detector/model/formula-weights.ts';
import { makeNetworkInput } from '../../../pipeline/detector/image/network-input.ts';
import { proposeRegions } from '../../../pipeline/detector/regions/propose-regions.ts';
import { caffeLimits } from '../../../pipeline/rows/clip-boundary.ts';

const PHOTOGRAPHS = join(import.meta.dirname, '../../../../shared/samples/coco');
const withPhotographs = existsSync(PHOTOGRAPHS) ? test : test.skip;

withPhotographs("boxes of real photographs end where Caffe's clipping puts them", async t => {
  const folder = mkdtempSync(join(tmpdir(), 'photographs-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { backbone, head } = await convertModel(FORMULA_WEIGHTS, folder);
  const session = await DetectorSession.open({ backbone, head });
  const files = readdirSync(PHOTOGRAPHS).filter(name => name.endsWith('.jpg'));
  t.true(files.length >= 6);
  for (const file of files) {
    const image = await decodeImage(join(PHOTOGRAPHS, file));
    const input = makeNetworkInput(image);
    const rois = proposeRegions(await session.runBackbone(input), input, 300);
    t.is(rois.length, 5 * 300, file);
    const boxes = scaleRegions(rois, input.scale);
    const limits = caffeLimits(image.height, image.width);
    const right = boxes.filter((_, i) => i % 4 === 2).reduce((most, value) => Math.max(most, value));
    const bottom = boxes.filter((_, i) => i % 4 === 3).reduce((most, value) => Math.max(most, value));
    t.true(Math.abs(right - limits.x2) < 1e-4, `${file}: ${right}`);
    t.true(Math.abs(bottom - limits.y2) < 1e-4, `${file}: ${bottom}`);
  }
  await session.close();
});
