import { LxmertDataError } from '../errors.ts';

/** A format that `export` writes. */
export interface ExportFormat {
  readonly name: string;
  readonly openedBy: string;
  /** What its name must end with. */
  readonly suffixes: readonly string[];
  /** Modules that Python writes it with, as pip installs them; undefined where this program writes it itself. */
  readonly python?: readonly PythonLibrary[];
  /** Whether features can be written as f16. */
  readonly half?: true;
}

export interface PythonLibrary {
  readonly module: string;
  readonly requirement: string;
}

const NUMPY: PythonLibrary = { module: 'numpy', requirement: 'numpy>=1.21' };
const HDF5 = [NUMPY, { module: 'h5py', requirement: 'h5py>=3.7' }];
const H5_SUFFIXES = ['.h5', '.hdf5'];

/** In the order of help and docs; those with `python` are the ones of reader/src/lxmert_data/export/formats.py. */
export const EXPORT_FORMATS: readonly ExportFormat[] = [
  { name: 'tsv', openedBy: 'LXMERT (the default)', suffixes: ['.tsv'] },
  {
    name: 'tsv-lineidx',
    openedBy: "TSVFile of Oscar and VinVL, with LXMERT's columns",
    suffixes: ['.tsv'],
  },
  { name: 'oscar', openedBy: 'Oscar (VQA, retrieval, pre-training)', suffixes: [], python: [NUMPY] },
  { name: 'vinvl', openedBy: "VinVL, Oscar's captioning", suffixes: [], python: [NUMPY] },
  {
    name: 'hdf5-groups',
    openedBy: 'VL-T5, VL-BART, VOLTA',
    suffixes: H5_SUFFIXES,
    python: HDF5,
    half: true,
  },
  {
    name: 'hdf5-flat',
    openedBy: 'bottom-up-attention-vqa and its forks',
    suffixes: H5_SUFFIXES,
    python: HDF5,
  },
  {
    name: 'hdf5-pos-boxes',
    openedBy: 'BAN (ban-vqa) with adaptive=True',
    suffixes: H5_SUFFIXES,
    python: HDF5,
  },
  {
    name: 'arrow',
    openedBy: 'Hugging Face datasets',
    suffixes: ['.arrow'],
    python: [NUMPY, { module: 'pyarrow', requirement: 'pyarrow>=8' }],
    half: true,
  },
  {
    name: 'npy',
    openedBy: 'NumPy, memory-mapped; any language',
    suffixes: [],
    python: [NUMPY],
    half: true,
  },
  {
    name: 'npz',
    openedBy: "OpenVQA (GQA), readers of MILVLG's files",
    suffixes: [],
    python: [NUMPY],
    half: true,
  },
  { name: 'npz-openvqa', openedBy: 'OpenVQA and MCAN (VQA)', suffixes: [], python: [NUMPY], half: true },
  {
    name: 'mmf-lmdb',
    openedBy: 'MMF',
    suffixes: ['.lmdb'],
    python: [NUMPY, { module: 'lmdb', requirement: 'lmdb>=1.0' }],
    half: true,
  },
];

/** The format of that name; where there is none, the error names the nearest. */
export function findExportFormat(name: string): ExportFormat {
  const found = EXPORT_FORMATS.find(format => format.name === name);
  if (found !== undefined) return found;
  const near = nearestName(
    name.toLowerCase(),
    EXPORT_FORMATS.map(format => format.name),
  );
  throw new LxmertDataError('ERR_USAGE', {
    what: `there is no export format "${name}"`,
    expected: EXPORT_FORMATS.map(format => format.name).join(', '),
    got: name,
    hint: near === undefined ? undefined : `did you mean ${near}?`,
  });
}

/** The name that shares most pairs of letters with `word` (Dice), if any is near. */
function nearestName(word: string, names: readonly string[]): string | undefined {
  let best = 0.3;
  let nearest: string | undefined;
  const wanted = letterPairs(word);
  for (const name of names) {
    const pairs = letterPairs(name);
    const shared = wanted.filter(pair => pairs.includes(pair)).length;
    const likeness = (2 * shared) / (wanted.length + pairs.length);
    if (likeness > best) [best, nearest] = [likeness, name];
  }
  return nearest;
}

function letterPairs(word: string): readonly string[] {
  return Array.from({ length: word.length + 1 }, (_, index) => ` ${word} `.slice(index, index + 2));
}
