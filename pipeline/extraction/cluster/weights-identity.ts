import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { errorText, LxmertDataError } from '../../errors.ts';
import { openRegular } from '../../files/open-checked.ts';

/** The sha256 of a file of weights; `untrained` for weights made by a formula. Fails (ERR_INPUT) where it cannot be read. */
export async function identifyWeights(path: string): Promise<string> {
  if (path === 'untrained') return path;
  try {
    const hash = createHash('sha256');
    const file = await openRegular(path);
    await pipeline(file.createReadStream({ highWaterMark: 1 << 20 }), hash);
    return hash.digest('hex');
  } catch (error) {
    throw new LxmertDataError('ERR_INPUT', {
      what: 'cannot read the weights',
      where: path,
      got: errorText(error),
      hint: 'name them with --weights, by a path that all hosts know; lxmert-data fetch detector brings them',
      cause: error,
    });
  }
}
