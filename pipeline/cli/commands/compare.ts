import { compareStores, type CompareStoresResult } from '../../stages/compare-stores.ts';
import { LxmertDataError } from '../../errors.ts';
import { type CommandContext, type CommandSpec, textOption } from '../spec.ts';
import { showAll } from '../../show-text.ts';
import { resolveStores } from '../inputs.ts';
import { openReport, REPLACE_REPORT_OPTION, reportOption } from '../report-file.ts';
import { quoted } from '../typed-commands.ts';

const MAX_LISTED = 10;

export const compareCommand: CommandSpec = {
  name: 'compare',
  description:
    'Compares two stores image by image: overlap of boxes, agreement of classes, cosine of features. Shows, for instance, whether a detector reproduces published rows.',
  argument: {
    name: 'store',
    description: 'two .safetensors stores',
    required: true,
    many: true,
    looksLike: /\.safetensors$/,
  },
  options: [
    reportOption('write the outcome of every image as JSON'),
    REPLACE_REPORT_OPTION,
    {
      name: 'min-cosine',
      value: 'X',
      description: 'exit with 1 if a mean cosine is below (default 0.99)',
      looksLike: /^-?[0-9.]+$/,
    },
  ],
  examples: [
    ['lxmert-data compare mine.safetensors published.safetensors', 'my extraction against published rows'],
  ],
  async run(args, options, context) {
    const [first, second, ...others] = resolveStores(args, context.data);
    if (first === undefined || second === undefined || others.length > 0) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'compare needs two stores',
        expected: 'lxmert-data compare mine.safetensors published.safetensors',
        got: args.length === 1 ? 'one' : `${args.length} files`,
      });
    }
    const stores = [first, second] as const;
    const report = await openReport(options, stores);
    const minimum = textOption(options, 'min-cosine');
    const result = await compareStores(
      { stores, minCosine: minimum === undefined ? undefined : Number(minimum) },
      context,
    );
    await report.write(result);
    context.emit({ event: 'result', stage: 'compare', ...result });
    printComparison(stores, result, context.show);
    context.finish(`${result.totals.images} images compared${result.ok ? '' : ': NOT ALIKE'}`, {
      done: result.totals.images,
      next: `lxmert-data inspect ${stores.map(quoted).join(' ')} --open`,
    });
    return result.ok;
  },
};

function printComparison(
  stores: readonly [string, string],
  result: CompareStoresResult,
  show: CommandContext['show'],
): void {
  const { totals, detectors, only_in_first: onlyFirst, only_in_second: onlySecond } = result;
  const share = (value: number | null): string => (value === null ? 'no classes' : value.toFixed(4));
  show(`${stores[0]}: ${detectors[0]}\n${stores[1]}: ${detectors[1]}`);
  show(`${totals.images} images in both, ${onlyFirst} only in the first, ${onlySecond} only in the second`);
  if (totals.not_finite > 0)
    show(`${totals.not_finite} images with values that are not finite, left out of the means`);
  show(`cosine of features: mean ${totals.cosine_mean.toFixed(4)}, worst ${totals.cosine_worst.toFixed(6)}`);
  show(`largest difference of a feature: ${totals.features_worst.toExponential(2)}`);
  show(
    `overlap of boxes (IoU): mean ${totals.iou_mean.toFixed(4)}; at the same index: ${share(totals.same_index)}`,
  );
  show(`same object class: ${share(totals.objects)}, same attribute class: ${share(totals.attributes)}`);
  const worst = [...result.images].sort((a, b) => a.cosine_mean - b.cosine_mean).slice(0, MAX_LISTED);
  for (const { img_id: id, cosine_mean: cosine, iou, objects } of worst) {
    show(
      `  ${showAll(id)}: cosine ${cosine.toFixed(4)}, IoU ${iou.toFixed(4)}, objects ${objects?.toFixed(2) ?? '-'}`,
    );
  }
}
