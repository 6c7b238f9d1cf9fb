import { errorText, LxmertDataError } from '../../errors.ts';
import { digestFile } from '../../files/digest.ts';

/** The sha256 of a file of weights; `untrained` for weights made by a formula. Fails (ERR_INPUT) where it cannot be read. */
export async function identifyWeights(path: string): Promise<string> {
  if (path === 'untrained') return path;
  try {
    return (await digestFile(path)).sha256;
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
