import { writeReport } from '../../report/write-report.ts';
import { compareStores, type ImageAgreement } from '../../stages/compare-stores.ts';
import { LxmertDataError } from '../../errors.ts';
import { type CommandSpec, textOption } from '../spec.ts';
import { resolveInputs } from '../inputs.ts';

const MAX_LISTED = 10;

export const compareCommand: CommandSpec = {
  name: 'compare',
  description:
    'Compares two stores image by image: overlap of boxes, agreement of classes, cosine of features. So one sees whether a detector gives what the published rows have.',
  argument: {
    name: 'store',
    description: 'two .safetensors stores',
    required: true,
    many: true,
    looksLike: /\.safetensors$/,
  },
  options: [
    { name: 'report', value: 'FILE', description: 'write every image as JSON', looksLike: /\.json$/ },
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
  async run(words, options, context) {
    const [first, second, ...others] = resolveInputs(words, context.data);
    if (first === undefined || second === undefined || others.length > 0) {
      throw new LxmertDataError('ERR_USAGE', { what: 'compare needs two stores', got: `${words.length}` });
    }
    const result = await compareStores([first, second], context);
    const least = Number(textOption(options, 'min-cosine') ?? '0.99');
    const ok = result.images.every(image => image.cosine_mean >= least);
    const { images, ...details } = result;
    context.emit({ event: 'result', stage: 'compare', ok, ...details, images });
    const report = textOption(options, 'report');
    await writeReport(report, result);
    context.print(`${first}: ${result.detectors[0]}\n${second}: ${result.detectors[1]}`);
    context.print(
      `${images.length} images in both, ${result.only_in_first} only in the first, ${result.only_in_second} only in the second`,
    );
    const mean = (pick: (image: ImageAgreement) => number | null): string => {
      const values = images.map(pick).filter(value => value !== null);
      return values.length === 0
        ? 'none'
        : (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(4);
    };
    context.print(
      `cosine of features: mean ${mean(image => image.cosine_mean)}, worst ${Math.min(...images.map(image => image.cosine_worst)).toFixed(6)}`,
    );
    context.print(
      `largest difference of a feature: ${Math.max(...images.map(image => image.features_worst)).toExponential(2)}`,
    );
    context.print(
      `overlap of boxes (IoU): mean ${mean(image => image.iou)}; in the same place: ${mean(image => image.same_place / 36)}`,
    );
    context.print(
      `same object class: ${mean(image => image.objects)}, same attribute class: ${mean(image => image.attributes)}`,
    );
    for (const image of [...images].sort((a, b) => a.cosine_mean - b.cosine_mean).slice(0, MAX_LISTED)) {
      context.print(
        `  ${image.img_id}: cosine ${image.cosine_mean.toFixed(4)}, IoU ${image.iou.toFixed(4)}, objects ${image.objects?.toFixed(2) ?? '-'}`,
      );
    }
    return ok;
  },
};
