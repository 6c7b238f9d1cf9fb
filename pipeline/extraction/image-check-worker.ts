import { countPixels } from '../detector/image/count-pixels.ts';
import { decodeImage } from '../detector/image/decode-image.ts';
import { checkInputSize } from '../detector/image/network-input.ts';
import { answerInOrder } from '../workers/answers.ts';

export type CheckRequest =
  { readonly type: 'measure'; readonly path: string } | { readonly type: 'check'; readonly path: string };

answerInOrder(async ({ type, path }: CheckRequest): Promise<unknown> => {
  if (type === 'measure') return await countPixels(path);
  const { height, width } = await decodeImage(path);
  checkInputSize(height, width);
  return undefined;
});
