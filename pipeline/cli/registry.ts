import type { CommandSpec } from './spec.ts';

/** A command that is loaded only when it is called: most of what this tool brings is needed by one of them. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandSpec>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'start',
    summary: 'the main job from end to end',
    load: async () => (await import('./commands/start.ts')).startCommand,
  },
  {
    name: 'fetch',
    summary: 'download datasets, check them and make stores',
    load: async () => (await import('./commands/fetch.ts')).fetchCommand,
  },
  {
    name: 'status',
    summary: 'show which datasets are downloaded, partial or missing',
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  {
    name: 'make-json',
    summary: "turn the official GQA or NLVR2 files into LXMERT's JSON",
    load: async () => (await import('./commands/make-json.ts')).makeJsonCommand,
  },
  {
    name: 'extract',
    summary: 'compute the 36-box features of images',
    load: async () => (await import('./commands/extract.ts')).extractCommand,
  },
  {
    name: 'validate',
    summary: 'check every row of feature TSVs',
    load: async () => (await import('./commands/validate.ts')).validateCommand,
  },
  {
    name: 'convert',
    summary: 'turn feature TSVs into one store',
    load: async () => (await import('./commands/convert.ts')).convertCommand,
  },
  {
    name: 'verify',
    summary: 'prove that datasets and stores are intact',
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  {
    name: 'export',
    summary: 'write a store as TSV or for other code bases',
    load: async () => (await import('./commands/export.ts')).exportCommand,
  },
  {
    name: 'compare',
    summary: 'compare two stores image by image',
    load: async () => (await import('./commands/compare.ts')).compareCommand,
  },
  {
    name: 'show',
    summary: 'print images of a store, or what a store is',
    load: async () => (await import('./commands/show.ts')).showCommand,
  },
  {
    name: 'subset',
    summary: 'make a store of some images of others',
    load: async () => (await import('./commands/rewrite.ts')).subsetCommand,
  },
  {
    name: 'merge',
    summary: 'make one store of several',
    load: async () => (await import('./commands/rewrite.ts')).mergeCommand,
  },
  {
    name: 'cast',
    summary: 'make a store with another dtype',
    load: async () => (await import('./commands/rewrite.ts')).castCommand,
  },
  {
    name: 'inspect',
    summary: 'look at a store: boxes, names, distributions, outliers',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    name: 'doctor',
    summary: 'check this machine: Node, Python, Docker, disk, network, weights',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  {
    name: 'completion',
    summary: 'print a completion script for bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).completionCommand,
  },
];
