import test from 'ava';
import { AgreementSum, type ImageAgreement } from '../../pipeline/inspection/agreement.ts';

function image(changes: Partial<ImageAgreement>): ImageAgreement {
  return {
    img_id: 'a',
    iou: 1,
    objects: 1,
    attributes: 0.5,
    cosine_mean: 1,
    cosine_worst: 0.9,
    features_worst: 0.25,
    same_index: 36,
    ...changes,
  };
}

test('totals of more images than a call has arguments', t => {
  const sum = new AgreementSum();
  for (let index = 0; index < 150_000; index++) sum.add(image({ cosine_worst: 1 - index / 1e6 }));
  const totals = sum.totals();
  t.is(totals.images, 150_000);
  t.is(totals.cosine_mean, 1);
  t.is(totals.cosine_worst, 1 - 149_999 / 1e6);
  t.is(totals.features_worst, 0.25);
  t.is(totals.same_index, 1);
  t.is(totals.attributes, 0.5);
});

test('images with values that are not finite are counted and left out of the means', t => {
  const sum = new AgreementSum();
  sum.add(image({ cosine_mean: 0.5 }));
  sum.add(image({ cosine_mean: NaN, features_worst: Infinity }));
  t.like(sum.totals(), { images: 2, not_finite: 1, cosine_mean: 0.5, features_worst: 0.25 });
});

test('stores without classes have no share of equal classes', t => {
  const sum = new AgreementSum();
  sum.add(image({ objects: null, attributes: null }));
  t.like(sum.totals(), { objects: null, attributes: null });
});
