import test from 'ava';
import type { AgreementTotals } from '../../pipeline/inspection/agreement.ts';
import { judgeDetector } from '../../pipeline/inspection/judge-detector.ts';

const SAME: AgreementTotals = {
  images: 10,
  not_finite: 0,
  cosine_mean: 0.99999,
  cosine_worst: 0.999,
  features_worst: 0.0004,
  iou_mean: 0.9999,
  same_index: 1,
  objects: 1,
  attributes: 1,
};

test('the same boxes, classes and features are the published detector', t => {
  t.is(judgeDetector(SAME).verdict, 'published');
});

test('so few images prove nothing', t => {
  t.is(judgeDetector({ ...SAME, images: 4 }).verdict, 'undecided');
});

for (const [what, changes] of [
  ['other boxes', { iou_mean: 0.9 }],
  ['other object classes', { objects: 0.9 }],
  ['other attributes', { attributes: 0.9 }],
  ['other features', { cosine_mean: 0.98 }],
  ['no classes', { objects: null, attributes: null }],
  ['values that are not finite', { not_finite: 1 }],
  ['no number at all', { cosine_mean: NaN }],
] as const) {
  test(`${what} are another detector, of however few images`, t => {
    t.is(judgeDetector({ ...SAME, ...changes }).verdict, 'different');
    t.is(judgeDetector({ ...SAME, ...changes, images: 1 }).verdict, 'different');
  });
}
